"""A request's id that comes twice, as when a client tries again: what was clicked once is paid once."""

from bottega.features.stores.memory import MemoryStore
from bottega.serving.auction import DAY, HOUR
from bottega.serving.spending import Sale, Spending

MIDNIGHT = 20_000 * DAY


def test_of_two_answers_under_one_id_each_ad_is_paid_once_at_its_own_price() -> None:
    spending = Spending(MemoryStore())
    spending.keep("r", [Sale("a", "x", 3.0), Sale("b", "y", 1.0)], MIDNIGHT)
    first = spending.click("r", "a", MIDNIGHT + 1)
    spending.keep("r", [Sale("b", "y", 2.0), Sale("a", "x", 5.0), Sale("c", "z", 4.0)], MIDNIGHT + 2)
    told = [spending.click("r", name, MIDNIGHT + 3) for name in ("a", "b", "c", "b")]
    assert first is not None
    assert [(one.price, one.charged, one.free) for one in [first, *told] if one is not None] == [
        (3.0, True, 0.0), (3.0, False, 0.0), (2.0, True, 0.0), (4.0, True, 0.0), (2.0, False, 0.0),
    ]  # fmt: skip
    assert spending.spent(["x", "y", "z"], MIDNIGHT).tolist() == [3.0, 2.0, 4.0]
    spending.keep("r", [Sale("a", "x", 7.0)], MIDNIGHT + HOUR)  # again, in the next hour
    again = spending.click("r", "a", MIDNIGHT + HOUR + 1)
    assert again is not None
    assert (again.price, again.charged) == (3.0, False)
