"""Training of recurrent binary codes, in torch: `pip install vecpress[train]`. What it learns is used with NumPy alone.

codec = vp.train.fit(vp.RecurrentBinary(184), x, queries=sample)      # as codec.fit, with everything that can be steered
upgraded = vp.train.compatible(new_x, codec, old_codes=codes)         # a new model's vectors search the old codes
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("vecpress.train needs torch: pip install 'vecpress[train]'") from error


from .compatible import compatible
from .fit import fit, fit_in_place
from .options import Options
from .progress import Judgement

__all__ = ["Judgement", "Options", "compatible", "fit", "fit_in_place"]
