"""Array types for columns: one-dimensional numpy arrays unless a shape is stated."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]
