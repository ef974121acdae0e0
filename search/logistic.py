"""Logistic regression with a ridge penalty, by Newton's method."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MOST_STEPS: Final = 40
_CLOSE: Final = 1e-4
_FREE: Final = 1e-9
"""The penalty on the intercept: so little that only the equations stay solvable."""

Doubles = NDArray[np.float64]


def fit_logistic(
    vectors: Doubles,
    targets: NDArray[np.bool_],
    weights: Doubles,
    *,
    penalty: float,
    start: Doubles | None = None,
) -> Doubles:
    """Return the coefficients that best tell two kinds of vector apart.

    The same input gives the same coefficients, to the last digits of the machine's arithmetic.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float64
    targets : ndarray, shape (n,), bool
        Which kind each is; both kinds occur.
    weights : ndarray, shape (n,), float64
        What each counts; their sum is 1.
    penalty : float
        Of the squared length of the coefficients, halved; greater than 0.
    start : ndarray, shape (dim + 1,), float64, optional
        The coefficients of a like problem: from near by, it takes fewer steps.

    Returns
    -------
    ndarray, shape (dim + 1,), float64
        The last is the intercept.
    """
    n, dim = vectors.shape
    inputs = np.column_stack([vectors, np.ones(n)])
    ridge = np.full(dim + 1, penalty)
    ridge[-1] = _FREE
    signs = np.where(targets, 1.0, -1.0)

    def loss(at: Doubles) -> float:
        log_losses = np.logaddexp(0.0, -signs * (inputs @ at))
        return float(weights @ log_losses + 0.5 * ridge @ at**2)

    coefficients = np.zeros(dim + 1) if start is None else start.copy()
    reached = loss(coefficients)
    for _ in range(_MOST_STEPS):
        sure = 1.0 / (1.0 + np.exp(-np.clip(inputs @ coefficients, -500.0, 500.0)))
        gradient = inputs.T @ (weights * (sure - targets)) + ridge * coefficients
        curvature = (inputs * (weights * sure * (1.0 - sure))[:, np.newaxis]).T @ inputs
        curvature[np.diag_indices(dim + 1)] += ridge
        step = np.linalg.solve(curvature, gradient)
        close = _CLOSE * max(1.0, float(np.abs(coefficients).max()))
        # Newton's step may go too far where the curve is flat: halve it until the loss falls.
        while loss(coefficients - step) > reached and np.abs(step).max() > close:
            step /= 2.0
        coefficients = coefficients - step
        reached = loss(coefficients)
        if np.abs(step).max() <= close:
            break
    return coefficients
