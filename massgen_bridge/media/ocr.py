"""The text on a picture, read on this machine; the models come with the package."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from massgen_bridge.errors import MediaError

if TYPE_CHECKING:
    from massgen_bridge.messages import ImagePart

__all__ = ["OCR_MISSING", "Reader"]

OCR_MISSING: Final = (
    "reading the text on pictures needs rapidocr: pip install 'massgen-bridge[ocr]'"
)
"""What is told where the extra is not installed."""
_THREADS: Final = 1


class Reader:
    """Reads the text on a run's pictures, each once, one at a time."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._done: dict[str, str] = {}
        self._lock = anyio.Lock()

    async def __call__(self, part: ImagePart) -> str:
        """The text, from top to bottom, a line for each that was found; empty where there is none.

        Args:
            part: A PNG or JPEG with its bytes.

        Raises:
            MediaError: The extra is not installed, or the picture cannot be read.
        """
        data = part.data or b""
        key = hashlib.sha256(data).hexdigest()
        async with self._lock:
            if key not in self._done:
                self._done[key] = await to_thread.run_sync(self._text, data)
        return self._done[key]

    def _text(self, data: bytes) -> str:
        if self._engine is None:
            self._engine = _new_engine()
        try:
            found = self._engine(data)
        except Exception as error:  # noqa: BLE001 - the engine is foreign code with foreign bytes
            raise MediaError(f"the text on the picture cannot be read: {error}") from None
        return "\n".join(found.txts or ())


def _new_engine() -> Any:
    try:
        from rapidocr import RapidOCR  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise MediaError(OCR_MISSING) from None
    settings = {
        "Global.log_level": "error",
        # Pictures are upright already.
        "Global.use_cls": False,
        "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
    }
    return RapidOCR(params=settings)
