"""torch: embedding tables kept as codes, of which only the rows that are asked for are decoded. docs/integrations/torch.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ..checks import check_choice, check_int
from ..codec import Codec
from .bytewise import lookup
from .codec_bytes import from_bytes, to_bytes

__all__ = ["PressedEmbedding", "PressedEmbeddingBag"]

MODES = ("sum", "mean", "max")


class _Pressed(nn.Module):
    """What both modules share: codes, the codec, and rows decoded.

    Buffers: codes uint8[n, code_size] and codec_file uint8[...], the codec's .vpz file, are in the state_dict. codebooks
    float[code_size, 256, w], projection float[p, d] and offset float[d] are made of the codec and follow `.to` with the others;
    empty where the codec decodes on the host.
    """

    codes: Tensor
    codec_file: Tensor
    codebooks: Tensor
    projection: Tensor
    offset: Tensor

    def __init__(self, codec: Codec, codes: Any, padding_idx: int | None = None):
        super().__init__()
        where = type(self).__name__
        if not isinstance(codec, Codec):
            raise TypeError(f"{where}: codec expected a Codec, got {type(codec).__name__}")
        codec.check_fitted()
        if codec.metric == "cos":
            raise ValueError(f"{where}: codec expected metric 'ip' or 'l2', got 'cos', which keeps no lengths")
        checked = torch.from_numpy(codec.check_codes(codes, f"{where}: codes").copy())
        self.num_embeddings, self.embedding_dim = len(checked), codec.dim
        if padding_idx is not None:
            padding_idx = check_int(where, "padding_idx", padding_idx, -len(checked), len(checked) - 1) % len(checked)
        self.padding_idx = padding_idx
        self.register_buffer("codes", checked)
        self.register_buffer("codec_file", torch.frombuffer(bytearray(to_bytes(codec)), dtype=torch.uint8))
        for name in ("codebooks", "projection", "offset"):
            self.register_buffer(name, torch.empty(0), persistent=False)
        self._adopt(codec)

    @classmethod
    def from_pretrained_table(cls, weight: Any, codec: Codec, **options: Any) -> Self:
        """The module of a table [n, d], such as the weight of an nn.Embedding.

        codec : a fitted codec, or one that is learned from the table; of metric "ip" or "l2", as "cos" keeps no lengths
        options : padding_idx, and those of the class

        Raises TypeError or ValueError for what is none, and as `Codec.fit` and `encode` do. The result is on weight's device.
        """
        if not isinstance(codec, Codec):
            raise TypeError(f"{cls.__name__}: codec expected a Codec, got {type(codec).__name__}")
        if not codec.is_fitted:
            codec = type(codec)(**codec.config()).fit(weight)
        codes = codec.encode(weight)
        return cls(codec, codes, **options).to(weight.device if isinstance(weight, Tensor) else "cpu")

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], prefix: str = "", **options: Any) -> Self:
        """The module of a state_dict alone, such as `safetensors.torch.load_file` gives.

        Raises ValueError if `codes` or `codec_file` is missing, CorruptFileError if the codec is not whole.
        """
        for name in ("codes", "codec_file"):
            if prefix + name not in state:
                raise ValueError(f"{cls.__name__}: state expected a tensor {prefix + name!r}, got {', '.join(state)}")
        codec = _codec_of(state[prefix + "codec_file"], cls.__name__)
        codes = state[prefix + "codes"]
        return cls(codec, codes, **options).to(codes.device)

    @property
    def codec(self) -> Codec:
        """The fitted codec."""
        return self._codec

    @property
    def decodes_on(self) -> str:
        """Where rows are decoded: "device", where the buffers are, or "host", by the codec itself."""
        return "device" if self.codebooks.numel() else "host"

    def rows(self, ids: Tensor) -> Tensor:
        """Rows float[r, d] of ids int[r], decoded. IndexError for an id that there is not; on a CUDA device its assertion."""
        codes = self.codes.index_select(0, ids)
        if self.decodes_on == "host":
            decoded = torch.from_numpy(self._codec._decode(np.ascontiguousarray(codes.cpu().numpy())))
            return decoded.to(self.codebooks.device, self.codebooks.dtype)
        blocks, _, width = self.codebooks.shape
        places = torch.arange(blocks, device=codes.device)
        out = self.codebooks[places, codes.long()].reshape(len(codes), blocks * width)
        if not self.projection.numel():
            return out[:, : self.embedding_dim]
        return torch.addmm(self.offset, out[:, : len(self.projection)], self.projection)

    def weight_decoded(self) -> Tensor:
        """The whole table float[n, d], decoded: what the module stands for."""
        return self.rows(torch.arange(self.num_embeddings, device=self.codes.device))

    def _adopt(self, codec: Codec) -> None:
        self._codec = codec
        made = lookup(codec) or (np.empty(0, np.float32),) * 3
        for name, array in zip(("codebooks", "projection", "offset"), made, strict=True):
            setattr(self, name, torch.from_numpy(array.copy()).to(self.codebooks.device, self.codebooks.dtype))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """As torch's, and the codec is read and checked first: what does not fit leaves the module as it was."""
        file, codes = state_dict.get(prefix + "codec_file"), state_dict.get(prefix + "codes")
        if file is not None and codes is not None:
            try:
                codec = _codec_of(file, type(self).__name__)
            except ValueError as error:
                error_msgs.append(str(error))
                return
            fits = codec.dim == self.embedding_dim and codec.metric != "cos"
            if not fits or tuple(codes.shape) != (self.num_embeddings, codec.code_size):
                mine = f"{self.num_embeddings} rows of {self.embedding_dim} columns"
                theirs = f"codes {tuple(codes.shape)} of {codec!r} for {codec.dim} columns"
                error_msgs.append(f"{type(self).__name__}: the state_dict expected {mine}, got {theirs}")
                return
            self.codes = torch.empty_like(codes, device=self.codes.device)
            self.codec_file = torch.empty_like(file, device=self.codec_file.device)
            self._adopt(codec)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )  # fmt: skip

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}, {self._codec!r}"


class PressedEmbedding(_Pressed):
    """An `nn.Embedding` whose table is codes: code_size bytes a row instead of 4 d. It is frozen: nothing of it is trained.

        PressedEmbedding.from_pretrained_table(embedding.weight, vp.PQ(m=96, metric="l2"))

    codec : fitted; codes : uint8[n, code_size]; padding_idx : kept, and of no effect, as in a frozen nn.Embedding

    Rows of `PQ`, `OPQ`, `LowRankPQ`, `Sign`, `ITQ` and `SQ`, and of `Truncate` around these, are looked up on the device; those
    of other codecs are decoded on the host. Results are `codec.decode`'s, bit for bit, but where vectors are projected back
    (`OPQ`, `LowRankPQ`, `ITQ`, `Truncate` by "pca"): there torch sums in another order. `.half()` and `.to(dtype)` set the dtype
    of rows.
    Cost: of r rows code_size look-ups and d numbers each; a table of 256 d numbers beside the codes.
    """

    def forward(self, input: Tensor) -> Tensor:
        """ids int[...] to rows float[..., d]. Raises IndexError for an id that there is not."""
        return self.rows(input.reshape(-1)).reshape(*input.shape, self.embedding_dim)


class PressedEmbeddingBag(_Pressed):
    """An `nn.EmbeddingBag` whose table is codes, frozen; sums, means or largest of the rows of bags.

    codec, codes : as of PressedEmbedding; mode : "sum", "mean" or "max"; padding_idx : a row that does not count
    include_last_offset : the last of `offsets` is the end of the last bag

    Every row that is asked for is decoded once, and torch's own embedding_bag reduces them.
    """

    def __init__(
        self, codec: Codec, codes: Any, *, mode: str = "mean", padding_idx: int | None = None, include_last_offset: bool = False
    ):
        super().__init__(codec, codes, padding_idx)
        self.mode = check_choice(type(self).__name__, "mode", mode, MODES)
        self.include_last_offset = bool(include_last_offset)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """Bags of ids, int[b, r] or int[r] with offsets int[b], to float[b, d]; arguments and errors as of `nn.EmbeddingBag`.

        per_sample_weights : of mode "sum", the shape of input; gradients reach them
        """
        ids, place = torch.unique(input, return_inverse=True)
        table, padding = self.rows(ids), None
        if self.padding_idx is not None:
            at = (ids == self.padding_idx).nonzero()
            padding = int(at[0, 0]) if len(at) else None
        if not len(table):  # empty bags only: torch wants a table
            table = table.new_zeros(1, self.embedding_dim)
        return nn.functional.embedding_bag(
            place.to(input.dtype), table, offsets, mode=self.mode, per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset, padding_idx=padding,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode!r}"


def _codec_of(file: Tensor, where: str) -> Codec:
    return from_bytes(file.cpu().numpy().tobytes(), where)
