"""The child can do nothing but look at its file, and whatever it does, its parent lives on."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.media import children, examination, folders, sandbox
from app.media.limits import Limits, configured
from app.media.outcome import Examined, FailedExamination, Failure, Refusal, RefusedFile
from tests.local.folders import descendants
from tests.media.conftest import Examine
from tests.media.makers import picture
from tests.processes import eventually

Run = Callable[..., sandbox.Ending]
_LINUX = sys.platform == "linux"
_FORBIDDEN = errno.EPERM if _LINUX else 0
# What an older kernel cannot forbid is only held by the permissions of files.
_FOREIGN = errno.EACCES if folders.known_version() > 0 else 0


@pytest.fixture
def run(tmp_path: Path, out: Path) -> Run:
    """Has a child do one of the deeds in `children`, on a small file, within the limits given."""

    def done(deed: str, content: str = "it", **limits: object) -> sandbox.Ending:
        (tmp_path / "it").write_text(content)
        chosen: Limits = dataclasses.replace(configured(), **limits)  # type: ignore[arg-type]
        return sandbox.run(tmp_path / "it", out, chosen, f"tests.media.children:{deed}")

    return done


def told(ending: sandbox.Ending) -> dict[str, object]:
    """What the child reports."""
    assert isinstance(ending, sandbox.Report), ending
    assert isinstance(ending.found, dict)
    return ending.found


def test_who_takes_too_much_memory_is_refused(run: Run) -> None:
    assert run("allocate") == RefusedFile(Refusal.TOO_COSTLY)


def test_who_computes_too_long_is_refused(run: Run) -> None:
    assert run("spin", cpu_seconds=1) == RefusedFile(Refusal.TOO_COSTLY)


@pytest.mark.parametrize("deed", ["wait", "be_silent"])
def test_who_does_not_end_is_ended(deed: str, run: Run) -> None:
    assert run(deed, seconds=2) == FailedExamination(Failure.TIMED_OUT)


def test_who_writes_a_file_without_end_is_refused(run: Run, out: Path) -> None:
    assert run("fill_one_file", growth=5_000_000) == RefusedFile(Refusal.TOO_COSTLY)
    assert (out / "large").stat().st_size <= 5_000_002


def test_who_writes_too_much_in_many_files_is_refused(run: Run) -> None:
    assert run("fill_many_files", growth=5_000_000) == RefusedFile(Refusal.TOO_COSTLY)


@pytest.mark.parametrize("deed", ["fork", "fork_and_hide"])
def test_no_child_leaves_a_process_behind(deed: str, run: Run) -> None:
    assert told(run(deed)) == {"error": _FORBIDDEN}


def test_no_child_reaches_a_server(run: Run) -> None:
    from tests.media.test_hostile import listener

    with listener() as (address, heard):
        assert told(run("connect", address)) == {"error": _FORBIDDEN}
    assert heard == []


@pytest.mark.parametrize("deed", ["start_program", "run_program"])
def test_no_child_starts_a_program(deed: str, run: Run) -> None:
    assert told(run(deed))["error"] in {errno.EPERM, errno.EACCES}


def test_no_child_ends_its_parent(run: Run) -> None:
    assert told(run("kill_parent")) == {"error": _FORBIDDEN}


def test_no_child_raises_its_limits(run: Run) -> None:
    assert told(run("raise_limits")) == {"raised": False}


def test_no_child_reads_what_is_not_its_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    errors = told(run("read_secret"))["errors"]
    assert errors == [_FOREIGN, _FOREIGN]


def test_no_child_writes_outside_of_its_folder(run: Run) -> None:
    assert told(run("write_elsewhere")) == {"error": _FOREIGN}


def test_a_child_is_given_no_secrets_and_little_of_all(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of the parent")
    found = told(run("environment", cpu_seconds=7, memory=1 << 30, growth=998))
    assert set(found["environment"]) <= {  # type: ignore[call-overload]
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "LANG",
        "LC_CTYPE",
        "OMP_NUM_THREADS",
        "MALLOC_ARENA_MAX",
    }
    assert found["limits"] == [[7, 8], [1 << 30, 1 << 30], [1000, 1000], [64, 64], [0, 0]]
    assert found["niceness"] == min(19, os.nice(0) + 10)
    assert (found["stdin"], found["folder"]) == ("", [])


@pytest.mark.parametrize(
    ("deed", "ending"),
    [
        ("kill_itself", FailedExamination(Failure.KILLED)),
        ("crash", RefusedFile(Refusal.DAMAGED)),
        ("talk_for_ever", FailedExamination(Failure.GARBLED, "a report without end")),
    ],
)
def test_every_end_of_a_child_has_its_outcome(deed: str, ending: object, run: Run) -> None:
    assert run(deed) == ending


@pytest.mark.parametrize("deed", ["leave", "garble", "nest"])
def test_a_report_that_cannot_be_read_is_a_failure(deed: str, run: Run) -> None:
    ending = run(deed)
    assert isinstance(ending, FailedExamination)
    assert ending.reason == Failure.GARBLED


def test_a_defect_is_told_with_its_trace(run: Run) -> None:
    ending = run("fail")
    assert isinstance(ending, FailedExamination)
    assert ending.reason == Failure.DEFECT
    assert "RuntimeError: a defect" in ending.detail


def test_what_libraries_print_is_no_report(run: Run) -> None:
    assert told(run("talk")) == {"kind": "file", "mime_type": "text/plain"}


@pytest.mark.parametrize(
    "deed", ["lie_about_type", "lie_about_thumbnails", "link_a_thumbnail", "script_as_thumbnail", "name_a_path"]
)
def test_a_child_that_lies_is_not_believed(
    deed: str, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = sandbox.run
    monkeypatch.setattr(
        sandbox, "run", lambda path, folder, limits: original(path, folder, limits, f"tests.media.children:{deed}")
    )
    (tmp_path / "it").write_text("it")
    result = examination.examine(tmp_path / "it", out, "it", configured())
    assert isinstance(result, FailedExamination)
    # A link cannot even be made where the kernel knows folders' rights.
    assert result.reason == (Failure.DEFECT if "link" in deed and _FOREIGN else Failure.GARBLED)
    assert list(out.iterdir()) == []


def test_no_link_is_taken_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("it")
    assert examination._size(tmp_path / "file") == 2
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(examination._Unbelievable):
        examination._size(tmp_path / "link")
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    with pytest.raises(examination._Unbelievable):
        examination._size(tmp_path / "other")


def test_a_file_that_is_gone_is_a_failure(tmp_path: Path, outcome: Examine) -> None:
    result = outcome(tmp_path / "nothing")
    assert isinstance(result, FailedExamination)
    assert result.reason == Failure.NOT_STARTED


def test_only_the_results_are_left_in_the_folder(tmp_path: Path, out: Path, outcome: Examine) -> None:
    found = outcome(picture(tmp_path / "it", "JPEG", (600, 400), 6))
    assert isinstance(found, Examined)
    assert sorted(path.name for path in out.iterdir()) == ["it-medium.webp", "it-shared", "it-small.webp"]
    (tmp_path / "it").write_bytes(b"\xff\xd8\xff")
    for path in out.iterdir():
        path.unlink()
    assert isinstance(outcome(tmp_path / "it"), RefusedFile)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../it", "a/b", "it.webp", "a\x00b", "x" * 101])
def test_a_name_that_could_be_a_path_is_a_defect_of_the_caller(name: str, tmp_path: Path, out: Path) -> None:
    with pytest.raises(ValueError, match="letters"):
        examination.examine(tmp_path / "it", out, name, configured())


def test_a_child_dies_with_its_parent(tmp_path: Path, out: Path) -> None:
    (tmp_path / "it").write_text("it")
    program = (
        "import sys; from pathlib import Path; from app.media import sandbox; from app.media.limits import Limits;"
        "sandbox.run(Path(sys.argv[1]), Path(sys.argv[2]), Limits(60, 600, 1 << 30, 1000, 1, 1),"
        " 'tests.media.children:wait')"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "it"), str(out)])

    def children() -> list[int]:
        """The nursery and what it has borne."""
        return descendants(parent.pid)

    eventually(lambda: len(children()) == 2, message="no child was started")
    nursery, child = (Path("/proc") / str(pid) for pid in children())

    def is_confined() -> bool:
        return "Seccomp:\t2" in (child / "status").read_text()

    eventually(is_confined, message="the child was not confined")
    parent.kill()
    parent.wait()

    def is_gone(process: Path) -> bool:
        try:
            return "State:\tZ" in (process / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    eventually(lambda: is_gone(nursery) and is_gone(child), message="the child outlived its parent")


def test_a_nursery_that_was_killed_is_replaced(run: Run) -> None:
    told(run("environment"))
    nursery = children._nurseries.current
    assert nursery is not None
    nursery._process.kill()
    nursery._process.wait()
    assert isinstance(run("environment"), FailedExamination)
    assert told(run("environment"))["stdin"] == ""


def test_each_thread_has_its_children_from_a_nursery_of_its_own(run: Run) -> None:
    with ThreadPoolExecutor(3) as threads:
        endings = list(threads.map(lambda _: run("environment"), range(6)))
    assert all(isinstance(ending, sandbox.Report) for ending in endings)


def test_the_libraries_that_a_child_may_read_are_not_the_project() -> None:
    project = Path(__file__).parents[2]
    assert all(not project.is_relative_to(path) for path in folders._libraries())
