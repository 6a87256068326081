"""The writing tools as OpenHands sees them; imported when a run begins, also on an agent server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from openhands.sdk import Action, Observation, ToolDefinition, register_tool
from openhands.sdk.tool import DeclaredResources, ToolAnnotations, ToolExecutor
from pydantic import Field

from omoi_os.judge.writing import DELETE, EDIT, WRITE, WritableTree

_PATH = Field(max_length=4_096, description="A path from the root of the workspace, with forward slashes.")
_LONGEST = 1_000_000


class WriteFileAction(Action):
    path: str = _PATH
    content: str = Field(max_length=_LONGEST, description="The whole content of the file; text.")


class EditFileAction(Action):
    path: str = _PATH
    old: str = Field(
        min_length=1,
        max_length=_LONGEST,
        description="What is replaced, letter by letter, without line numbers; it must stand there once.",
    )
    new: str = Field(max_length=_LONGEST, description="What stands there afterwards.")


class DeleteFileAction(Action):
    path: str = _PATH


class FileChange(Observation):
    """What a writing tool answers."""


class _Writer(ToolExecutor[WriteFileAction, FileChange]):
    def __init__(self, tree: WritableTree) -> None:
        self._tree = tree

    def __call__(self, action: WriteFileAction, conversation: object = None) -> FileChange:  # noqa: ARG002
        return FileChange.from_text(self._tree.write(action.path, action.content))


class _Editor(ToolExecutor[EditFileAction, FileChange]):
    def __init__(self, tree: WritableTree) -> None:
        self._tree = tree

    def __call__(self, action: EditFileAction, conversation: object = None) -> FileChange:  # noqa: ARG002
        return FileChange.from_text(self._tree.edit(action.path, action.old, action.new))


class _Deleter(ToolExecutor[DeleteFileAction, FileChange]):
    def __init__(self, tree: WritableTree) -> None:
        self._tree = tree

    def __call__(self, action: DeleteFileAction, conversation: object = None) -> FileChange:  # noqa: ARG002
        return FileChange.from_text(self._tree.delete(action.path))


class _WritingTool(ToolDefinition[Any, FileChange]):
    executor_type: ClassVar[Any]
    action: ClassVar[type[Action]]
    about: ClassVar[str]

    @classmethod
    def create(cls, conv_state: object = None, *, root: str, closed: Sequence[str] = ()) -> Sequence[Self]:  # noqa: ARG003
        return [
            cls(
                description=cls.about,
                action_type=cls.action,
                observation_type=FileChange,
                executor=cls.executor_type(WritableTree(Path(root), tuple(closed))),
                annotations=ToolAnnotations(
                    title=cls.name,
                    readOnlyHint=False,
                    destructiveHint=True,
                    idempotentHint=False,
                    openWorldHint=False,
                ),
            )
        ]

    def declared_resources(self, action: Action) -> DeclaredResources:  # noqa: ARG002
        # Two changes of one reply are made one after the other, in their order.
        return DeclaredResources(keys=("workspace",), declared=True)


class WriteFileTool(_WritingTool):
    name: ClassVar[str] = WRITE
    executor_type: ClassVar[Any] = _Writer
    action: ClassVar[type[Action]] = WriteFileAction
    about: ClassVar[str] = "Make a text file of the workspace, or give one another content."


class EditFileTool(_WritingTool):
    name: ClassVar[str] = EDIT
    executor_type: ClassVar[Any] = _Editor
    action: ClassVar[type[Action]] = EditFileAction
    about: ClassVar[str] = "Replace one place of a text file of the workspace."


class DeleteFileTool(_WritingTool):
    name: ClassVar[str] = DELETE
    executor_type: ClassVar[Any] = _Deleter
    action: ClassVar[type[Action]] = DeleteFileAction
    about: ClassVar[str] = "Delete a file of the workspace."


for _tool in (WriteFileTool, EditFileTool, DeleteFileTool):
    register_tool(_tool.name, _tool)
