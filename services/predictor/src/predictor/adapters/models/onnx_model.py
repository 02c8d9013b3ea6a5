"""Runs an ONNX file whose inputs are the features of a version."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from event_schemas.task import BINARY, Target
from predictor.domain.answer import Answer, answers_of
from predictor.domain.errors import LoadError, ModelFailedError
from predictor.domain.features import Input, Value, require_an_answer, trial_rows

_TYPES = {"number": "tensor(float)", "category": "tensor(string)"}

BOUND_ROWS = 32
"""Rows of the largest batch whose arrays are bound once; beyond, the model's own time counts."""


def import_runtime() -> None:
    """Import ONNX Runtime, for a third of a second; only whoever loads a model needs it."""
    import onnxruntime  # noqa: F401


class OnnxModel:
    """One session, for batches of any size.

    One input a feature, in order, of shape [None, 1]: float32 for a number (missing is NaN), string
    for a category (missing is ""). The last output holds what `predictor.domain.answer` says.

    Not for two threads at once: small batches of numbers share arrays.
    """

    def __init__(self, path: Path, inputs: Sequence[Input], target: Target = BINARY) -> None:
        """Load a file and try it on one row.

        Raises:
            LoadError: it cannot be read, takes other inputs, or answers something else.
        """
        import onnxruntime  # see `import_runtime`

        options = onnxruntime.SessionOptions()
        # One core answers the requests: threads of the session would only wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise LoadError("unreadable", f"no ONNX file that can be run: {error}") from error
        self._session = session
        self._numbers = [(i, each.name) for i, each in enumerate(inputs) if each.kind == "number"]
        self._texts = [(i, each.name) for i, each in enumerate(inputs) if each.kind != "number"]
        self._output = _check(session, inputs)
        self._answers = answers_of(target)
        self._row_shape: tuple[int, ...] = ()
        """Of the output, as the trial finds it."""
        self._bound: dict[int, _Bound] = {}
        require_an_answer([self._failure(row) for row in trial_rows(inputs)])

    def _failure(self, row: Sequence[Value]) -> str | None:
        """Why a row has no answer; None: it has one."""
        try:
            self._fed([row])
        except ModelFailedError as error:
            return error.message
        return None

    def answers(self, rows: Sequence[Sequence[Value]]) -> Sequence[Answer]:
        """See `Model.answers`."""
        n = len(rows)
        if self._texts or n > BOUND_ROWS:  # ONNX Runtime binds no strings
            return self._fed(rows)
        bound = self._bound.get(n)
        try:
            if bound is None:
                names = [name for _, name in self._numbers]
                bound = _Bound(self._session, names, self._output[0], (n, *self._row_shape))
                self._bound[n] = bound
            return self._answers.of_output(bound.run(rows))
        except Exception as error:
            raise _failed(error) from error

    def _fed(self, rows: Sequence[Sequence[Value]]) -> Sequence[Answer]:
        """Run with arrays of its own."""
        n = len(rows)
        feed: dict[str, Any] = {}
        try:
            columns = list(zip(*rows, strict=True))
            # One array for all numbers, which costs a lone row much less than one for each. NumPy
            # turns None into NaN by itself.
            numbers = np.array([columns[i] for i, _ in self._numbers], np.float32)
            for (_, name), column in zip(self._numbers, numbers, strict=True):
                feed[name] = column.reshape(n, 1)
            for i, name in self._texts:
                texts = ["" if value is None else value for value in columns[i]]
                feed[name] = np.array(texts, object).reshape(n, 1)
            (output,) = self._session.run(self._output, feed)
        except Exception as error:
            raise _failed(error) from error
        self._answers.require_shape(output.shape, n)
        self._row_shape = output.shape[1:]
        return self._answers.of_output(output)


class _Bound:
    """A session whose inputs and output lie in the same arrays at each run.

    To describe twelve inputs anew takes ONNX Runtime longer than to answer a row by them.
    """

    def __init__(
        self, session: Any, inputs: Sequence[str], output: str, shape: tuple[int, ...]
    ) -> None:
        rows = shape[0]
        self._session = session
        self._numbers = np.empty((len(inputs), rows), np.float32)
        self._output = np.empty(shape, np.float32)
        self._binding = session.io_binding()
        for name, column in zip(inputs, self._numbers, strict=True):
            self._binding.bind_input(name, "cpu", 0, np.float32, (rows, 1), column.ctypes.data)
        at = self._output.ctypes.data
        self._binding.bind_output(output, "cpu", 0, np.float32, shape, at)

    def run(self, rows: Sequence[Sequence[Value]]) -> Any:
        """The output, which the next run overwrites."""
        # NumPy turns None into NaN by itself.
        self._numbers[:] = list(zip(*rows, strict=True))
        self._session.run_with_iobinding(self._binding)
        return self._output


def _failed(error: Exception) -> ModelFailedError:
    return ModelFailedError("model_failed", f"the model failed: {error}")


def _check(session: Any, inputs: Sequence[Input]) -> list[str]:
    """The name of the output to read, when all is as it should be."""
    takes = {each.name: (each.type, each.shape) for each in session.get_inputs()}
    wanted = {each.name: _TYPES[each.kind] for each in inputs}
    if missing := sorted(wanted.keys() ^ takes.keys()):
        where = ["a feature only" if name in wanted else "an ONNX input only" for name in missing]
        pairs = ", ".join(f"{name} ({w})" for name, w in zip(missing, where, strict=True))
        raise LoadError("signature", f"features and ONNX inputs differ: {pairs}")
    for name, kind in wanted.items():
        found, shape = takes[name]
        if found != kind or len(shape) != 2 or isinstance(shape[0], int) or shape[1] != 1:
            raise LoadError(
                "signature", f"ONNX input {name} is {found} {shape}, not {kind} [None, 1]"
            )
    last = session.get_outputs()[-1]
    if last.type != "tensor(float)":
        raise LoadError(
            "signature",
            f"the last output, {last.name}, is {last.type}, not tensor(float): convert with"
            " zipmap off",
        )
    return [last.name]
