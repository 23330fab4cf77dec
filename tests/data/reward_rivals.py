"""What rivals do in a house: the deeds of the races for rewards, points, keys and codes."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import select

from data import catalogue, confirming, coupons, db, redeeming, redemptions, reward_stock, sealed, settling
from data.coupon_descriptions import NewCoupon
from data.ledger import KeyUsedOtherwise
from data.redemptions import Redemption
from data.refusals import Refusal
from tests.conftest import KEYS
from tests.data.reward_scenes import BY, LATER
from tests.data.rivals import PATIENCE, together

BLINK = timedelta(microseconds=1)
IN_TIME = {"actor": "guest", "now": LATER - BLINK}
TOO_LATE = {"actor": "guest", "now": LATER}


def tried(deed: Callable[..., Any], *given: Any, gives: str = "", **other: Any) -> Any:
    """What a deed gives (of that, `gives`) in a transaction of its own, or the name of its refusal."""
    try:
        with db.transaction() as session:
            done = deed(session, *given, **other)
            return getattr(done, gives) if gives else done
    except (Refusal, KeyUsedOtherwise) as no:
        return type(no).__name__


def wish_for(who: str, members: dict[str, int], wishes: list[tuple[str, dict[str, str]]]) -> list[Any]:
    """Ids of redemptions, or refusals: each wish is a reward, and a key for each process."""
    done = []
    for code, keys in wishes:
        together()
        asked = {"key": keys[who], "channel": "telegram", **BY}
        done.append(tried(redeeming.begin, members[who], code, gives="id", **asked))
    return done


@contextlib.contextmanager
def in_turn(who: str, number: int) -> Iterator[None]:
    """Of three rounds each goes second in one, after the other is done; in the third both go at once."""
    together()
    second = "ab"[number % 3 : number % 3 + 1]
    if who == second:
        together()
    yield
    if second and who != second:
        together()
    together()


def confirm_or_sweep(who: str, member_id: int, codes: list[str]) -> list[Any]:
    """a wishes, and confirms in the last moment; b sweeps in the first moment after."""
    done = []
    for number, code in enumerate(codes):
        if who == "a":
            wished = tried(redeeming.begin, member_id, code, gives="id", key=code, channel="telegram", **BY)
        with in_turn(who, number):
            if who == "a":
                done.append(tried(confirming.confirm, wished, gives="state", **IN_TIME))
            else:
                done.append(tried(reward_stock.lapse_due, now=LATER))
    return done


def confirm_or_wish(who: str, other: int, held: list[tuple[int, str]]) -> list[Any]:
    """a confirms the last one in the last moment, b asks for it in the first moment after."""
    done = []
    for number, (redemption_id, code) in enumerate(held):
        asked = {"key": f"{code}:other", "channel": "wechat", **TOO_LATE}
        with in_turn(who, number):
            if who == "a":
                done.append(tried(confirming.confirm, redemption_id, gives="state", **IN_TIME))
            else:
                done.append(tried(redeeming.begin, other, code, gives="state", **asked))
    return done


def confirm_both(who: str, held: list[int]) -> list[Any]:
    """The codes that both are given."""
    done = []
    for redemption_id in held:
        together()
        done.append(tried(confirming.confirm, redemption_id, gives="code", **BY))
    return done


def hand_over_both(who: str, typed: list[str]) -> list[Any]:
    """Two desks with the same code."""
    done = []
    for code in typed:
        together()
        hotel = {"a": "HLSH", "b": "HLLN"}[who]
        done.append(tried(settling.fulfil, code, gives="state", hotel=hotel, **BY))
    return done


def hand_over_or_cancel(who: str, taken: list[tuple[int, str]]) -> list[Any]:
    """a hands over what b cancels."""
    done = []
    for number, (redemption_id, code) in enumerate(taken):
        with in_turn(who, number):
            if who == "a":
                done.append(tried(settling.fulfil, code, gives="state", hotel="HLSH", **BY))
            else:
                done.append(tried(settling.cancel, redemption_id, gives="state", why="guest", **BY))
    return done


def sweep_or_wish(who: str, member_id: int, other: int, codes: list[str]) -> list[Any]:
    """a sweeps what b, who asks for the same reward, would have to clear away first."""
    done = []
    for number, code in enumerate(codes):
        asked = {"key": f"{code}:late", "channel": "wechat", **TOO_LATE}
        if who == "a":
            for each in range(6):
                overdue = {"key": f"{code}:{each}", "channel": "telegram", **BY}
                tried(redeeming.begin, member_id, code, **overdue)
        with in_turn(who, number):
            if who == "a":
                done.append(tried(reward_stock.lapse_due, now=LATER))
            else:
                done.append(tried(redeeming.begin, other, code, gives="state", **asked))
    return done


def give_coupons(who: str, member_id: int, keys: list[str], new: NewCoupon) -> list[int]:
    """Two jobs that give the same coupons."""
    done = []
    for key in keys:
        together()
        done.append(tried(coupons.give, member_id, new, gives="id", key=key, **BY))
    return done


def use_coupons(who: str, typed: list[str]) -> list[Any]:
    """Two desks with the same coupon."""
    done = []
    for code in typed:
        together()
        done.append(tried(coupons.use, code, gives="code", **BY))
    return done


def sweep_both(who: str) -> int:
    together()
    return int(tried(reward_stock.lapse_due, now=LATER))


def crowd(url: str, members: list[int], codes: list[str], tries: int) -> list[Any]:
    """As many processes as members, each asking so many times for each reward; what all of them heard."""
    context = multiprocessing.get_context("spawn")
    everybody = context.Barrier(len(members))
    with ProcessPoolExecutor(len(members), context, initializer=_stand_at, initargs=(everybody,)) as pool:
        asking = [pool.submit(_ask, url, member_id, codes, tries) for member_id in members]
        return [heard for one in asking for heard in one.result(PATIENCE)]


def _stand_at(everybody: Barrier) -> None:
    global _everybody
    _everybody = everybody


_everybody: Barrier


def _ask(url: str, member_id: int, codes: list[str], tries: int) -> list[Any]:
    db.connect(url)
    sealed.use_keys(KEYS)
    try:
        _everybody.wait(PATIENCE)
        return [
            tried(
                redeeming.begin,
                member_id,
                code,
                gives="id",
                key=f"{member_id}:{code}:{number}",
                channel="",
                **BY,
            )
            for number in range(tries)
            for code in codes
        ]
    finally:
        db.disconnect()


def live(who: str, members: list[int], codes: list[str], now: datetime, steps: int) -> int:
    """Do whatever comes to mind, as fast as it goes; gives how much of it was not refused.

    Members, rewards and extras are shared, so whoever locks in another order than the rest meets a deadlock.
    """
    luck = random.Random(f"{who}{now}")
    listed = catalogue.read_catalogue(catalogue.sample())
    numbers = itertools.count()
    by = {"actor": who, "now": now}
    with db.reading() as session:
        known = list(session.scalars(select(Redemption.id).order_by(Redemption.id)))

    def begin() -> Any:
        asked = {"key": f"{who}{now}:{next(numbers)}", "channel": "telegram", **by}
        asked |= {"quantity": luck.choice([1, 1, 2])}
        begun = tried(redeeming.begin, luck.choice(members), luck.choice(codes), gives="id", **asked)
        if isinstance(begun, int):
            known.append(begun)
        return begun

    def hand_over() -> Any:
        with db.reading() as session:
            code = redemptions.found(session, luck.choice(known)).code or ""
        return tried(settling.fulfil, code, hotel="HLSH", **by)

    deeds: dict[str, tuple[int, Callable[[], Any]]] = {
        "begin": (8, begin),
        "confirm": (5, lambda: tried(confirming.confirm, luck.choice(known), **by)),
        "cancel": (4, lambda: tried(settling.cancel, luck.choice(known), why="guest", **by)),
        "hand over": (1, hand_over),
        "sweep": (1, lambda: tried(reward_stock.lapse_due, now=now, limit=5)),
        "load": (1, lambda: tried(catalogue.load, luck.sample(listed, len(listed)), **by)),
    }
    together()
    done = 0
    for _ in range(steps):
        (name,) = luck.choices(list(deeds), [weight for weight, _ in deeds.values()])
        if known or name in ("begin", "sweep", "load"):
            done += not isinstance(deeds[name][1](), str)
    return done
