"""`zhike import` and `zhike export`: what they print, how they end, and what is in the database then."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import typer
from click.testing import Result
from rich.console import Console
from sqlalchemy import Engine, func, select
from typer.testing import CliRunner

from bot import import_commands
from data import db
from data.audit import AuditEntry
from data.members import Member
from data.stays import Stay
from tests.data import staying
from tests.data.staying import changing_nothing

SHEN = {"number": "ZK700001", "name": "沈知微", "locale": "zh_CN", "phone": "13601876543", "points": "120"}
STAY = {
    "确认号": "C-1", "会员号": "ZK900001", "酒店": "HLSH", "房型": "湖景房", "入住日期": "2025/11/3",
    "离店日期": "2025/11/5", "状态": "离店", "金额": "1280.50",
}  # fmt: skip

Run = Callable[..., Result]


@pytest.fixture
def run(database: str, logging_kept: None) -> Run:
    """`zhike …` inside this process."""
    app = typer.Typer()
    app.add_typer(import_commands.import_app, name="import")
    app.add_typer(import_commands.export_app, name="export")
    staying.open_hotels()
    staying.guest()
    return lambda *given: CliRunner().invoke(app, [str(each) for each in given], catch_exceptions=False)


def table(path: Path, *rows: Mapping[str, str], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        written = csv.DictWriter(file, list(rows[0]), restval="")
        written.writeheader()
        written.writerows(rows)
    return path


def numbers() -> set[str]:
    with db.reading() as session:
        return set(session.scalars(select(Member.number))) - {"ZK900001"}


def test_members_once_and_again(run: Run, tmp_path: Path) -> None:
    path = table(tmp_path / "members.csv", SHEN, {"number": "ZK700002", "name": "Bo", "locale": "en"})
    ended = run("import", "members", path)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "members.csv (UTF-8, separated by commas): 2 lines in " in ended.stdout
    assert "2 written, 0 there already, 0 refused." in ended.stdout
    assert numbers() == {"ZK700001", "ZK700002"}
    with changing_nothing():
        again = run("import", "members", path)
    assert again.exit_code == 0
    assert "0 written, 2 there already, 0 refused." in again.stdout


def test_stays_from_a_chinese_spreadsheet(run: Run, tmp_path: Path) -> None:
    ended = run("import", "stays", table(tmp_path / "预订.csv", STAY, encoding="gbk"))
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "预订.csv (GB18030, separated by commas): 1 lines" in ended.stdout
    with db.reading() as session:
        stay = session.scalars(select(Stay)).one()
    assert (stay.status, stay.room_type) == ("checked_out", "湖景房")
    assert staying.entries(stay.member_id) == []


def test_stays_that_earn(run: Run, tmp_path: Path) -> None:
    assert run("import", "stays", table(tmp_path / "stays.csv", STAY), "--earn").exit_code == 0
    with db.reading() as session:
        stay = session.scalars(select(Stay)).one()
    assert [entry.amount for entry in staying.entries(stay.member_id)] == [1280]


def bad_lines(folder: Path) -> Path:
    """One good line, and thirty whose number is empty."""
    return table(folder / "members.csv", *[SHEN | {"number": ""}] * 15, SHEN, *[SHEN | {"number": ""}] * 15)


def test_all_or_nothing(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "bad.csv"
    with changing_nothing():
        ended = run("import", "members", bad_lines(tmp_path), "--report", report)
    assert ended.exit_code == 1
    assert "30 refused, so nothing was written." in ended.stdout
    said = ended.stderr.splitlines()
    assert said[0] == "line 2, number: is empty. Fill it in."
    assert len(said) == 21
    assert said[-1] == "… and 10 more; --report FILE lists them all."
    assert "沈知微" not in ended.output
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["line"]) for row in rows] == [*range(2, 17), *range(18, 33)]
    assert rows[0] == {"line": "2", "column": "number", "problem": "is empty.", "remedy": "Fill it in."}


def test_skipping_what_is_bad(run: Run, tmp_path: Path) -> None:
    path = bad_lines(tmp_path)
    for written, again in ((1, 0), (0, 1)):
        ended = run("import", "members", path, "--skip-bad")
        assert ended.exit_code == 3
        assert f"{written} written, {again} there already, 30 refused." in ended.stdout
    assert numbers() == {"ZK700001"}


def test_a_line_that_is_none(run: Run, tmp_path: Path) -> None:
    path = table(tmp_path / "members.csv", SHEN)
    path.write_bytes(path.read_bytes() + b"ZK7\r\n")
    assert run("import", "members", path).stderr.startswith("line 3: has 1 field, the header 5.")


def test_trying_it_out(run: Run, tmp_path: Path) -> None:
    path = table(tmp_path / "members.csv", SHEN)
    with changing_nothing():
        ended = run("import", "members", path, "--dry-run")
    assert ended.exit_code == 0
    assert "It would be: 1 written, 0 there already, 0 refused. Nothing was written" in ended.stdout
    with changing_nothing():
        assert run("import", "members", bad_lines(tmp_path), "--dry-run", "--skip-bad").exit_code == 3


def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_bytes(b'number,name,locale\nZK7,"Bo,en\n')
    ended = run("import", "members", path)
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"zhike: {path}: line 2: has a quote that is not closed.")
    path.write_bytes(b"number,name,locale\n")
    ended = run("import", "members", path)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "0 lines" in ended.stdout


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):  # which the command's entry point tells in one line
        run("import", "members", tmp_path / "none.csv")


def test_a_report_does_not_overwrite_the_table(run: Run, tmp_path: Path) -> None:
    path = table(tmp_path / "members.csv", SHEN)
    content = path.read_bytes()
    ended = run("import", "members", path, "--report", path)
    assert ended.exit_code == 1
    assert "--report names the file" in ended.stderr
    assert path.read_bytes() == content


def test_while_somebody_else_writes(
    run: Run, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = db.new_engine(database)
    connect = db.connect
    with other.connect() as connection:

        def come_second(url: str, **given: float) -> Engine:
            if not given:  # the database has been opened before, for its schema
                connection.begin()
                if database.startswith("postgres"):
                    connection.exec_driver_sql("LOCK TABLE point_accounts IN SHARE MODE")
            return connect(url, patience=0.2)

        monkeypatch.setattr(db, "connect", come_second)
        ended = run("import", "stays", table(tmp_path / "stays.csv", STAY))
    other.dispose()
    assert ended.exit_code == 1
    assert "Another process is writing" in ended.stderr
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Stay)) == 0


def test_a_bar_on_a_terminal(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "members.csv", SHEN)
    assert "checking" not in run("import", "members", path, "--dry-run").stderr
    monkeypatch.setattr(import_commands, "err", Console(stderr=True, force_terminal=True, width=120))
    shown = run("import", "members", path).stderr
    for word in ("checking", "writing", "100 %", "1 lines", "a second"):
        assert word in shown


@pytest.mark.parametrize(
    "given", [["import"], ["import", "rooms", "x.csv"], ["import", "members"], ["export"]]
)
def test_wrong_calls(run: Run, given: list[str]) -> None:
    assert run(*given).exit_code == 2


# Export


def test_export(run: Run, tmp_path: Path) -> None:
    run("import", "members", table(tmp_path / "members.csv", SHEN))
    ended = run("export", "member", "zk700001")
    assert (ended.exit_code, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert told["number"] == "ZK700001"
    assert "沈知微" in ended.stdout
    assert "+8613601876543" in ended.stdout
    with db.reading() as session:
        deeds = session.scalars(select(AuditEntry.deed).where(AuditEntry.actor == "export")).all()
    assert deeds == ["member.exported"]


def test_export_into_a_file(run: Run, tmp_path: Path) -> None:
    run("import", "members", table(tmp_path / "members.csv", SHEN))
    path = tmp_path / "shen.json"
    ended = run("export", "member", "ZK700001", "--out", path)
    assert (ended.exit_code, ended.output) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert json.loads(content)["number"] == "ZK700001"
    with pytest.raises(FileExistsError):
        run("export", "member", "ZK900001", "--out", path)
    assert path.read_bytes() == content


def test_export_of_nobody(run: Run) -> None:
    ended = run("export", "member", "ZK999999")
    assert ended.exit_code == 1
    assert "no member has this number" in ended.stderr
