"""Requirements, designs and the like: what a document contains, and what it only pretends to contain."""

from omoi_os.evidence.documents.reader import DOCUMENT_LIMITS, read_document

__all__ = ["DOCUMENT_LIMITS", "read_document"]
