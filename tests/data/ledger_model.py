"""The ledger in plain Python: what `data.ledger` and its neighbours must do, without a database."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Lot:
    left: int
    ripe: int
    ends: int
    held: int = 0

    def free(self, now: int) -> int:
        return self.left - self.held if self.ripe <= now < self.ends else 0


@dataclass
class Book:
    """One member's points. Times are whole hours; a key of `lots` is the order in which they came."""

    now: int = 0
    debt: int = 0
    lots: dict[int, Lot] = field(default_factory=dict)

    def order(self) -> list[int]:
        return sorted(self.lots, key=lambda lot: (self.lots[lot].ends, lot))

    def spendable(self) -> int:
        return sum(lot.free(self.now) for lot in self.lots.values()) - self.debt

    def credit(self, number: int, amount: int, ripe: int, ends: int) -> None:
        self.lots[number] = Lot(amount, ripe, ends)
        self.pay()

    def pay(self) -> None:
        self.debt -= sum(self.take(self.debt).values())

    def take(self, amount: int, first: int | None = None) -> dict[int, int]:
        """Remove up to `amount` from the lots in the order of use; from which lot how much."""
        taken = {}
        for number in ([first] if first else []) + self.order():
            lot = self.lots[number]
            free = lot.left - lot.held if number == first else lot.free(self.now)
            if part := min(free, amount):
                lot.left -= part
                amount -= part
                taken[number] = taken.get(number, 0) + part
        return taken

    def refill(self, taken: dict[int, int], number: int, courtesy: int) -> None:
        """Give back; what came from lots that have ended comes as lot `number`, if there is any courtesy."""
        late = 0
        for lot, part in taken.items():
            if courtesy and self.lots[lot].ends <= self.now:
                late += part
            else:
                self.lots[lot].left += part
        if late:
            self.lots[number] = Lot(late, self.now, self.now + courtesy)
        self.pay()
