"""Operations: one file each, with its contract and its NumPy reference, which is its definition.

Every kernel equals the reference bit for bit: sums are taken in a stated order with stated roundings, so a result depends
neither on the instruction set, nor on the thread count, nor on the batch a row came in.
"""

from .assign import assign
from .beam_step import beam_step
from .blocks import BLOCK, Blocks
from .dot import dot
from .encode_grid import encode_grid
from .encode_pq import encode_pq
from .encode_sq import encode_sq
from .encode_trellis import decode_trellis, encode_trellis
from .factors import Factor
from .flat import flat
from .hamming import hamming
from .label_sums import label_sums
from .lut4 import lut4
from .lut8 import lut8
from .norms import norms
from .pack_bits import pack_bits, pack_bits_within
from .pack_codes import pack_codes, unpack_codes
from .project import project
from .quantize import quantize
from .rotate import rotate
from .sdc import sdc
from .search_labels import search_labels
from .tables import tables
from .trellis import trellis

__all__ = [
    "BLOCK", "Blocks", "Factor", "assign", "beam_step", "decode_trellis", "dot", "encode_grid", "encode_pq", "encode_sq",
    "encode_trellis", "flat", "hamming", "label_sums", "lut4", "lut8", "norms", "pack_bits", "pack_bits_within", "pack_codes",
    "project", "quantize", "rotate", "sdc", "search_labels", "tables", "trellis", "unpack_codes",
]
