"""Stays in a CSV file: its columns, and what a line of it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.orm import Session

from data import csv_cells, identities, stay_chunks
from data.booking import NewStay
from data.csv_files import Column
from data.folio_rules import LARGEST_LINE, NewLine, check_charge, check_line
from data.hotels import Hotel
from data.importing import Premises, Tally
from data.refusals import BadInput
from data.stay_lines import BILL, StayLine
from data.stay_rules import check_nights, check_number, check_room, said, today_at
from data.stays import Stay, StayStatus

OUTLET = "room"  # where an imported bill counts as spent: of most bills, most was

COLUMNS: tuple[Column, ...] = (
    Column(
        "confirmation",
        (
            "confirmation number",
            "booking number",
            "reservation",
            "确认号",
            "预订号",
            "订单号",
            "確認號",
            "訂房編號",
        ),
        True,
    ),
    Column(
        "member",
        ("member number", "card number", "卡号", "会员号", "会员卡号", "卡號", "會員號", "會員卡號"),
        True,
    ),
    Column("hotel", ("hotel code", "酒店", "酒店代码", "饭店", "酒店代碼", "飯店", "飯店代碼"), True),
    Column("room_type", ("房型", "房间类型", "房間類型"), True),
    Column(
        "arrival",
        ("arrival date", "check-in date", "到店日期", "入住日期", "抵店日期", "住房日期"),
        True,
    ),
    Column("departure", ("departure date", "check-out date", "离店日期", "退房日期", "離店日期"), True),
    Column("adults", ("成人", "成人数", "成人數")),
    Column("children", ("儿童", "儿童数", "兒童", "兒童數")),
    Column("status", ("state", "状态", "狀態")),
    Column("total", ("amount", "总额", "金额", "总金额", "總額", "金額", "總金額")),
    Column("currency", ("币种", "货币", "幣別", "貨幣")),
)

# An empty cell is `booked`.
_STATUSES = {
    StayStatus.booked: ("booked", "reserved", "confirmed", "预订", "已预订", "預訂", "已預訂"),
    StayStatus.in_house: ("in house", "checked in", "在住", "入住", "已入住"),
    StayStatus.checked_out: ("checked out", "departed", "离店", "已离店", "已退房", "離店", "已離店"),
    StayStatus.cancelled: ("cancelled", "canceled", "取消", "已取消"),
}
_STATUS_OF = {word: status for status, words in _STATUSES.items() for word in words}


class Stays:
    """A table of stays.

    A stay of the past is told as `checked_out`. Its `total`, in the main unit of `currency` (empty: the hotel's),
    becomes one line of its folio, of the day of departure, and counts towards a tier at the next look at it. It
    earns no points: what was earned elsewhere comes with the member's opening balance. With `earn` it is checked
    out now, by the programme in force now, line by line and so more slowly; a stay that is recorded already earns
    nothing even then.
    """

    name = "stays"
    columns = COLUMNS
    columns_of: Mapping[str, str] = {}

    def __init__(self, *, earn: bool = False) -> None:
        self.earn = earn
        self.at_once = 20 if earn else 1_000
        self._chargeable: set[tuple[str, str]] = set()  # hotel and currency that were found to go together

    def read(self, cells: Mapping[str, str], premises: Premises) -> StayLine:
        """The line in our spelling. Raises `BadInput`."""
        for column in COLUMNS:
            if column.required and column.name not in cells:
                raise BadInput(column.name, "is empty.", "Fill it in.")
        hotel = premises.hotel(cells["hotel"], "hotel")
        status = _status(cells.get("status", "booked"))
        stay = NewStay(
            confirmation=csv_cells.digits(cells["confirmation"], "confirmation"),
            member=identities.card_number(csv_cells.digits(cells["member"], "member"), field="member"),
            hotel=hotel.code,
            room_type=cells["room_type"],
            arrival=csv_cells.day(cells["arrival"], "arrival"),
            departure=csv_cells.day(cells["departure"], "departure"),
            adults=csv_cells.whole(cells.get("adults", "1"), "adults"),
            children=csv_cells.whole(cells.get("children", "0"), "children"),
            status=StayStatus.in_house if status is StayStatus.in_house else StayStatus.booked,
        )
        check_number("confirmation", stay.confirmation)
        check_nights(stay.arrival, stay.departure, now=premises.now)
        check_room(stay.room_type, stay.adults, stay.children)
        if status is StayStatus.checked_out and stay.departure > today_at(hotel, premises.now):
            raise BadInput(
                "departure", "is still to come, but the guest has left.", "Write the day they left."
            )
        told = "total" in cells
        bill = self._bill(cells, stay, status, hotel, premises) if told else None
        return StayLine(stay, hotel, status, bill, bill_told=told)

    def write(
        self,
        db: Session,
        lines: Sequence[tuple[int, StayLine]],
        premises: Premises,
        refuse: Callable[[int, BadInput], None],
    ) -> Tally:
        """Record them: those that nothing speaks against together, the others one by one."""
        return stay_chunks.write(db, lines, earn=self.earn, now=premises.now, refuse=refuse)

    def _bill(
        self, cells: Mapping[str, str], stay: NewStay, status: StayStatus, hotel: Hotel, premises: Premises
    ) -> NewLine | None:
        """The total as a line of the folio; None for nothing. Raises `BadInput`."""
        currency = cells.get("currency", hotel.currency).upper()
        minor = csv_cells.amount_minor(cells["total"], currency, "total")
        if minor == 0:
            return None
        if minor < 0:
            raise BadInput("total", "is below zero.", "Write what the stay came to.")
        if minor > LARGEST_LINE:
            raise BadInput(
                "total", "is too large for one stay.", "Check the decimal point, and the currency."
            )
        if status is not StayStatus.checked_out:
            remedy = "Leave it empty: the bill comes with the checkout."
            raise BadInput("total", f"is told of a stay that is {said(status)}.", remedy)
        bill = NewLine(line=BILL, outlet=OUTLET, day=stay.departure, amount_minor=minor, currency=currency)
        check_line(bill)
        if (hotel.code, currency) not in self._chargeable:
            charged = Stay(arrival=stay.arrival, departure=stay.departure, hotel=hotel)
            check_charge(charged, bill, premises.programme)
            self._chargeable.add((hotel.code, currency))
        return bill


def _status(text: str) -> StayStatus:
    status = _STATUS_OF.get(" ".join(text.casefold().replace("_", " ").replace("-", " ").split()))
    if status is None:
        known = ", ".join(each.value for each in StayStatus)
        raise BadInput("status", "is none that a stay has.", f"Write one of: {known}.")
    return status
