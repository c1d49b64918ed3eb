"""The transformer of scikit-learn: its own estimator checks, and what a pipeline does with it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp

pytest.importorskip("sklearn", "1.6")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from vecpress.integrations.sklearn import VecpressTransformer

CONFIGURATIONS = [  # of codecs that code any number of columns, as the checks use 1 to 20
    VecpressTransformer(),
    VecpressTransformer("sq", output="codes"),
    VecpressTransformer("Raw", dtype="float16"),
    VecpressTransformer("pq", m=1, n_bits=4, metric="l2"),
    VecpressTransformer(vp.PQ(m=1, n_bits=4), output="codes"),
    VecpressTransformer("sign"),
    VecpressTransformer("rabitq", n_bits=3, metric="l2"),
    VecpressTransformer(vp.Truncate(1, "SQ()")),
]


@parametrize_with_checks(CONFIGURATIONS)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def x():
    return clustered(0, 300, 24)


@pytest.mark.parametrize("output", ["decoded", "codes"])
def test_it_is_the_codec(x, output):
    press = VecpressTransformer("PQ", m=6, n_bits=4, output=output).fit(x)
    codec = vp.PQ(6, 4).fit(x)
    codes = codec.encode(x)
    assert press.codec_ == codec
    np.testing.assert_array_equal(press.transform(x), codes if output == "codes" else codec.decode(codes))
    np.testing.assert_array_equal(press.inverse_transform(press.transform(x)), codec.decode(codes))
    assert list(press.get_feature_names_out()) == [f"vecpresstransformer{i}" for i in range(3 if output == "codes" else 24)]


@pytest.mark.parametrize("cls", vp.codecs(), ids=lambda cls: cls.__name__)
def test_every_codec_is_there_by_name(cls, x):
    if not cls.__module__.startswith("vecpress."):
        pytest.skip("of another test")
    codec = cls.examples()[0]
    options = codec.config()
    if "codec" in options:  # its own option of that name: given as a codec
        press = VecpressTransformer(codec)
    else:
        press = VecpressTransformer(cls.__name__.upper(), **options)
        assert clone(press).get_params() == {"codec": cls.__name__.upper(), "output": "decoded", **options}
    assert press.fit(x).codec_ == type(codec)(**codec.config()).fit(x)


def test_parameters():
    press = VecpressTransformer("pq", m=6)
    assert press.get_params() == {"codec": "pq", "m": 6, "output": "decoded"} and press.m == 6
    press.set_params(m=4, n_bits=4)
    assert press.get_params() == {"codec": "pq", "m": 4, "n_bits": 4, "output": "decoded"}
    press.m = 8
    assert press.get_params()["m"] == 8 and "m" not in vars(press)
    press.set_params(codec="rabitq", output="codes")
    assert press.get_params() == {"codec": "rabitq", "n_bits": 4, "output": "codes"}  # m went with PQ
    assert repr(VecpressTransformer("pq", m=6)) == "VecpressTransformer(codec='pq', m=6)"
    with pytest.raises(ValueError, match="Invalid parameter 'm'"):
        press.set_params(m=3)
    with pytest.raises(AttributeError, match="no attribute 'm'"):
        press.m  # noqa: B018
    assert clone(press).get_params() == press.get_params()
    given = vp.PQ(m=6)
    assert VecpressTransformer(given).get_params()["codec"] is given


def test_a_given_codec_stays_as_it_is(x):
    codec = vp.PQ(6, 4).fit(x[:100])
    before = codec.codebooks_
    press = VecpressTransformer(codec).fit(x)
    assert codec.codebooks_ is before and press.codec_ == vp.PQ(6, 4).fit(x)


def test_pipeline_search_and_pickle(x):
    y = (x @ np.random.default_rng(0).standard_normal(24) > 0).astype(int)
    pipe = Pipeline([("press", VecpressTransformer("pq", m=2, n_bits=4)), ("classify", LogisticRegression())])
    search = GridSearchCV(pipe, {"press__m": [1, 12], "press__n_bits": [4]}, cv=3).fit(x, y)
    assert search.best_params_["press__m"] == 12 and search.best_score_ > 0.8
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(x), search.predict(x))
    swapped = Pipeline([("press", VecpressTransformer())]).set_params(press__codec="pq", press__m=3)
    assert swapped.fit(x).named_steps["press"].codec_.m == 3


def test_set_output(x):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x, columns=[f"c{i}" for i in range(24)])
    press = VecpressTransformer("sign", output="codes").set_output(transform="pandas").fit(frame)
    out = press.transform(frame)
    assert list(out.columns) == [f"vecpresstransformer{i}" for i in range(3)] and set(out.dtypes) == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(press.inverse_transform(out), press.codec_.decode(out.to_numpy()))
    with pytest.raises(ValueError, match="feature names"):
        press.transform(frame.rename(columns={"c0": "other"}))


@pytest.mark.parametrize(
    ("press", "error", "message"),
    [
        (VecpressTransformer("pqs"), ValueError, "codec expected one of 'aligned', .* got 'pqs'"),
        (VecpressTransformer(3), TypeError, "codec expected a name such as 'pq' or a Codec, got int"),
        (VecpressTransformer("pq"), TypeError, "options of PQ do not fit: .*'m'"),
        (VecpressTransformer("pq", m=6, nbits=4), TypeError, "options of PQ do not fit: .*'nbits'"),
        (VecpressTransformer("pq", m=7), ValueError, "m expected a divisor of d=24, got 7"),
        (VecpressTransformer(vp.PQ(6), m=6), TypeError, "options expected none beside a codec, got m"),
        (VecpressTransformer("sq", output="code"), ValueError, "output expected one of 'decoded', 'codes', got 'code'"),
    ],
)
def test_bad_parameters(press, error, message, x):
    with pytest.raises(error, match=message):
        press.fit(x)
    assert not press.__sklearn_is_fitted__()


def test_bad_input(x):
    with pytest.raises(NotFittedError):
        VecpressTransformer().transform(x)
    press = VecpressTransformer("sq", output="codes").fit(x)
    with pytest.raises(ValueError, match="X has 23 features"):
        press.transform(x[:, :23])
    with pytest.raises(ValueError, match=r"X expected 24 columns .* got shape \(300, 23\)"):
        press.inverse_transform(x[:, :23])
    for bad in (np.full((1, 24), 256), np.full((1, 24), 0.5), np.full((1, 24), -1), np.full((1, 24), "a")):
        with pytest.raises(ValueError, match="X expected codes, whole numbers of 0 to 255"):
            press.inverse_transform(bad)
    codes = press.transform(x)
    np.testing.assert_array_equal(press.inverse_transform(codes.astype(float)), press.codec_.decode(codes))
