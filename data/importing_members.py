"""Members in a CSV file: its columns, and how a line becomes a member with an opening balance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from data import csv_cells, details, earning, enrolment, identities, ledger
from data.consents import Purpose
from data.csv_files import Column
from data.enrolment import Enrolled, NewMember
from data.hotels import Hotel
from data.importing import ACTOR, Premises, Tally
from data.ledger import Cause, KeyUsedOtherwise, Terms
from data.ledger_rows import Kind, PointEntry, PointLot
from data.members import Member
from data.refusals import BadInput, Conflict

LOCALES = ("en", "zh_CN", "zh_TW")
CARRIED_OVER = "carried_over"  # the reason of an opening balance

COLUMNS: tuple[Column, ...] = (
    Column(
        "number",
        ("card number", "member number", "卡号", "会员号", "会员卡号", "卡號", "會員號", "會員卡號"),
        True,
    ),
    Column("name", ("full name", "姓名", "名字"), True),
    Column("locale", ("language", "语言", "語言"), True),
    Column("latin_name", ("name in latin letters", "拼音", "英文名", "拼音姓名")),
    Column("tier", ("level", "等级", "会员等级", "级别", "等級", "會員等級", "級別")),
    Column("phone", ("mobile", "telephone", "手机", "手机号", "电话", "手機", "手機號", "電話")),
    Column("email", ("mail", "邮箱", "电子邮箱", "邮件", "信箱", "電子郵件")),
    Column(
        "document",
        ("id number", "passport", "证件号", "证件号码", "身份证号", "證件號", "證件號碼", "身分證號"),
    ),
    Column("birthday", ("date of birth", "birth date", "生日", "出生日期")),
    Column("home_hotel", ("hotel", "酒店", "所属酒店", "饭店", "所屬酒店", "飯店")),
    Column("joined", ("joined on", "member since", "入会日期", "注册日期", "入會日期", "註冊日期")),
    Column("points", ("balance", "积分", "积分余额", "積分", "積分餘額", "點數")),
    Column("points_expire", ("points expire on", "积分到期日", "积分有效期", "積分到期日", "點數到期日")),
    Column("consent_offers", ("offers", "营销同意", "同意营销", "行銷同意", "同意行銷")),
)

# What tables say where the record has a code of BCP 47.
_LANGUAGES = {
    **dict.fromkeys(("english", "英文", "英语", "英語"), "en"),
    **dict.fromkeys(("chinese", "中文", "简体", "简体中文", "simplified chinese"), "zh_CN"),
    **dict.fromkeys(("繁体", "繁體", "繁体中文", "繁體中文", "traditional chinese"), "zh_TW"),
}


@dataclass(frozen=True)
class MemberLine:
    """One line: the member, and the points they bring along with the moment they end (None: never)."""

    new: NewMember
    points: int | None
    points_end: datetime | None


class Members:
    """A table of members. None of them gets the welcome gift: they have been members elsewhere.

    An empty cell says nothing: it is neither recorded nor held against what is. `points` are the opening balance,
    good for ever or through `points_expire` by the home hotel's calendar; the day of joining is by the same.
    """

    name = "members"
    columns = COLUMNS
    at_once = 50
    columns_of: Mapping[str, str] = {"joined_at": "joined", "consents.offers": "consent_offers"}

    def read(self, cells: Mapping[str, str], premises: Premises) -> MemberLine:
        """The line in our spelling. Raises `BadInput`."""
        for column in COLUMNS:
            if column.required and column.name not in cells:
                raise BadInput(column.name, "is empty.", "Fill it in.")
        hotel = premises.hotel(cells["home_hotel"], "home_hotel") if "home_hotel" in cells else None
        zone = ZoneInfo(hotel.time_zone) if hotel else premises.programme.zone
        joined = csv_cells.day(cells["joined"], "joined") if "joined" in cells else None
        consents = {}
        if "consent_offers" in cells:
            consents[Purpose.offers] = csv_cells.yes_or_no(cells["consent_offers"], "consent_offers")
        points, points_end = _points(cells, zone)
        new = NewMember(
            number=identities.card_number(csv_cells.digits(cells["number"], "number")),
            tier=_tier(cells["tier"], premises) if "tier" in cells else None,
            home_hotel=hotel.code if hotel else None,
            joined_at=earning.day_begins_at(joined, zone) if joined else None,
            consents=consents,
            **_spelt(cells, hotel, premises),
        )
        return MemberLine(new, points, points_end)

    def write(
        self,
        db: Session,
        lines: Sequence[tuple[int, MemberLine]],
        premises: Premises,
        refuse: Callable[[int, BadInput], None],
    ) -> Tally:
        """Enrol them one by one, as everybody else enrols members."""
        again = refused = 0
        for number, line in lines:
            try:
                with db.begin_nested():
                    done = enrolment.enrol(
                        db, line.new, via=ACTOR, actor=ACTOR, now=premises.now, welcome=False
                    )
                    _carry_over(db, done, line, premises)
            except BadInput as error:
                refused += 1
                refuse(number, error)
            else:
                again += done.again
        return Tally(len(lines) - again - refused, again)


def _spelt(cells: Mapping[str, str], hotel: Hotel | None, premises: Premises) -> dict[str, Any]:
    told = {name: cells[name] for name in details.SPELT if name in cells}
    for name in ("phone", "document"):
        if name in told:
            csv_cells.digits(told[name], name)
    if "birthday" in told:
        told["birthday"] = csv_cells.birthday(told["birthday"], "birthday")
    told["locale"] = _LANGUAGES.get(told["locale"].casefold(), told["locale"])
    try:
        return dict(details.spelt(told, today=premises.programme.today(premises.now), hotel=hotel))
    except BadInput as error:
        if error.field == "document":
            csv_cells.refuse_lost_digits(told["document"], "document")
        raise


def _tier(text: str, premises: Premises) -> str:
    """The code of a tier, from the code or one of its names. Raises `Unknown`."""
    for tier in premises.programme.tiers:
        if text.casefold() in (tier.code, *(tier.names.said_in(locale).casefold() for locale in LOCALES)):
            return tier.code
    return premises.programme.tier(text).code


def _points(cells: Mapping[str, str], zone: ZoneInfo) -> tuple[int | None, datetime | None]:
    """The opening balance and when it ends: good through the day that is told, at the home hotel."""
    points = csv_cells.whole(cells["points"], "points") if "points" in cells else None
    if points:
        ledger.check_amount(points)
    if "points_expire" not in cells:
        return points, None
    last_day = csv_cells.day(cells["points_expire"], "points_expire")
    if not points:
        raise BadInput(
            "points_expire", "is told without points.", "Write how many points end, or leave it empty."
        )
    return points, earning.day_begins_at(last_day + timedelta(days=1), zone)


def _carry_over(db: Session, done: Enrolled, line: MemberLine, premises: Premises) -> None:
    """Credit the opening balance, once for a number. Raises `Conflict` if another one, or none, was recorded."""
    if line.points is None:
        return
    key = f"import:{line.new.number}"
    if done.again:
        _refuse_other_balance(db, done.member, line, key)
    elif line.points:
        if line.points_end is not None and line.points_end <= premises.now:
            raise BadInput("points_expire", "is over.", "Leave out points that have ended.")
        facts = {"points": line.points, "file": premises.digest}
        cause = Cause(Kind.adjust, CARRIED_OVER, key, ACTOR, facts=facts)
        terms = Terms(premises.now, line.points_end)
        try:
            ledger.credit(db, done.member.id, line.points, cause=cause, now=premises.now, terms=terms)
        except KeyUsedOtherwise:
            problem = "was carried over to an account that this number no longer belongs to."
            raise Conflict("points", problem, "Enrol the guest under a number of their own.") from None


def _refuse_other_balance(db: Session, member: Member, line: MemberLine, key: str) -> None:
    recorded = db.execute(
        select(PointEntry.amount, PointLot.expires_at)
        .join(PointLot, and_(PointLot.member_id == PointEntry.member_id, PointLot.number == PointEntry.seq))
        .where(PointEntry.key == key, PointEntry.member_id == member.id)
    ).one_or_none()
    amount, ends = recorded or (0, None)
    for column, told, known in (("points", line.points, amount), ("points_expire", line.points_end, ends)):
        if told != known:
            problem = f"differs from what was carried over for {member.number}."
            raise Conflict(column, problem, "Leave it empty, and correct the balance by an adjustment.")
