"""scikit-learn: a codec as a transformer, for pipelines and searches of options. docs/integrations/sklearn.md."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import check_choice
from ..codec import Codec, codecs

__all__ = ["VecpressTransformer"]

OUTPUTS = ("decoded", "codes")


class VecpressTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Vectors to what their codes decode to, or to the codes.

        Pipeline([("press", VecpressTransformer("pq", m=48)), ("classify", LogisticRegression())])

    Parameters
    ----------
    codec : a codec's name in any case, such as "pq", or a codec; it is copied, its configuration kept and learned anew
    output : what `transform` returns: "decoded", float32[n, d], or "codes", uint8[n, code_size]
    options : of the codec, with a name only. They are parameters like others: `press__m` in a GridSearchCV

    Learned: codec_, the fitted `vecpress.Codec`; n_features_in_; feature_names_in_ where columns had names.

    Nothing is checked before `fit`, as scikit-learn wants it. `fit` raises TypeError or ValueError for a codec, an output or
    options that are none, and as `Codec.fit` does. Cost: that of the codec.
    """

    def __init__(self, codec: str | Codec = "sq", *, output: str = "decoded", **options: Any):
        self.codec = codec
        self.output = output
        self._options = options

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("_options", {})
        if name in options:
            return options[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_options", {}):
            self._options[name] = value
        else:
            super().__setattr__(name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """codec, output and the options that were given, by name."""
        return super().get_params(deep) | self._options

    def set_params(self, **params: Any) -> Self:
        """Sets parameters, options of the codec named in `codec` among them, given before or not.

        With another codec, options of the old one that the new one lacks are dropped. Raises ValueError for a name that is
        neither a parameter nor an option.
        """
        named = set(self._get_param_names())
        chosen = {name: params[name] for name in params if name in named}
        codec = chosen.get("codec", self.codec)
        known = _option_names(codec)
        for name in params:
            if name not in named and name not in known and name not in self._options:
                valid = sorted(named | known)
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {valid!r}.")
        if "codec" in chosen:
            self._options = {name: value for name, value in self._options.items() if name in known}
        for name, value in chosen.items():
            setattr(self, name, value)
        self._options.update({name: value for name, value in params.items() if name not in named})
        return self

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns the codec. X : [n, d], n at least 1; y is not used."""
        check_choice(type(self).__name__, "output", self.output, OUTPUTS)
        codec = _unfitted(self.codec, self._options)
        self.codec_ = codec.fit(self._vectors(X, reset=True))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """X [n, d] to float32[n, d], what its codes decode to, or to the codes, uint8[n, code_size]."""
        check_is_fitted(self)
        output = check_choice(type(self).__name__, "output", self.output, OUTPUTS)
        codes = self.codec_.encode(self._vectors(X, reset=False))
        return codes if output == "codes" else self.codec_.decode(codes)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """What `transform` returned to vectors float32[n, d]: codes are decoded, decoded vectors stay as they are.

        Raises ValueError for another number of columns, or for codes that are not whole numbers of 0 to 255.
        """
        check_is_fitted(self)
        codes = self.output == "codes"
        wanted = self._n_features_out
        x = np.asarray(X)
        if x.ndim != 2 or x.shape[1] != wanted:
            raise ValueError(f"inverse_transform: X expected {wanted} columns as transform returns, got shape {x.shape}")
        if not codes:
            return np.asarray(x, np.float32)
        bytes_ = x.astype(np.uint8, casting="unsafe") if x.dtype.kind in "iuf" else None
        if bytes_ is None or not np.array_equal(bytes_, x):  # a table of several kinds of columns comes as floats
            raise ValueError(f"inverse_transform: X expected codes, whole numbers of 0 to 255, got dtype {x.dtype}")
        return self.codec_.decode(bytes_)

    @property
    def _n_features_out(self) -> int:
        return self.codec_.code_size if self.output == "codes" else self.codec_.dim

    def _vectors(self, X: Any, reset: bool) -> np.ndarray:
        return validate_data(self, X, reset=reset, dtype=(np.float32, np.float64), order="C")

    def __sklearn_is_fitted__(self) -> bool:
        return "codec_" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32 or uint8, whatever came
        return tags


def _class_of(name: str) -> type[Codec]:
    by_name = {cls.__name__.lower(): cls for cls in codecs()}
    if name.lower() not in by_name:
        names = ", ".join(repr(known) for known in by_name)
        raise ValueError(f"VecpressTransformer: codec expected one of {names}, got {name!r}")
    return by_name[name.lower()]


def _option_names(codec: Any) -> set[str]:
    """Of the codec that is named; none where it is something else, which `fit` says."""
    if not isinstance(codec, str):
        return set()
    try:
        return set(inspect.signature(_class_of(codec)).parameters)
    except ValueError:
        return set()


def _unfitted(codec: Any, options: dict[str, Any]) -> Codec:
    if isinstance(codec, Codec):
        if options:
            raise TypeError(f"VecpressTransformer: options expected none beside a codec, got {', '.join(options)}")
        return type(codec)(**codec.config())
    if not isinstance(codec, str):
        raise TypeError(f"VecpressTransformer: codec expected a name such as 'pq' or a Codec, got {type(codec).__name__}")
    cls = _class_of(codec)
    try:
        return cls(**options)
    except TypeError as error:
        raise TypeError(f"VecpressTransformer: options of {cls.__name__} do not fit: {error}") from None
