"""What a label's name means: whether more of it is better, and how a sentence says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

_DOWN = (
    "fraud chargeback default churn cancel complain spam return attrition exit died dead death mortal readmi refund "
    "unsubscrib bounce fail fault error defect anomal attack malicious malware toxic abuse abusive dispute late delay "
    "left leav lapse delinquen bad risk loss lost theft disease stroke cancer diabet noshow reject decline block hate "
    "escalat tamper "
    "betrug gekündigt kündig fraude abandon cancelad мошен отток 欺诈 流失 违约 解約 不正 احتيال"
)
_UP = (
    "click convert conversion bought buy purchas order liked like love open install subscri respon success accept "
    "relevan surviv won win deposit paid repaid active stay retain approv read watch play listen visit sold sale "
    "booked book engag share saved favo add good recommend rehired hired renew upsell correct "
    "geklickt gekauft clic comprad clique achet клик куплен 点击 购买 转化 クリック 購入 نقرة شراء"
)
_AGAINST = ("not ", "no ", "not_", "no_", "non", "un")  # before a word: the other of the two
_SAY_NOTHING = {"is", "has", "was", "the", "did", "will", "flag", "id", "tx", "label", "target", "yes", "no"}

_CALLED = {"id": "row", "uid": "user", "qid": "query", "index": "row"}  # what names that are short stand for
_DOES = {
    "churned", "defaulted", "exited", "left", "survived", "died", "subscribed", "responded", "converted", "won",
    "unsubscribed",
}  # fmt: skip
_OCCURS = {"churn", "fraud", "attrition", "spam", "default", "conversion", "cancellation"}
_COUNTED = {"click", "purchase", "complaint", "deposit", "chargeback", "return", "refund", "dispute", "booking"}
_IS = {"fraudulent", "relevant", "bought", "sold", "paid"}

_ASKED = {
    "does": "How likely is it that this {this} has {word}?",
    "occurs": "How likely is {word} for this {this}?",
    "counted": "How likely is a {word} for this {this}?",
    "is": "How likely is it that this {this} is {word}?",
}
_MOVED = {
    "does": "share of {those} that have {word}",
    "occurs": "share of {those} with {word}",
    "counted": "{word}s per request",
    "is": "share of {those} that are {word}",
}


def direction(words: Sequence[str], positive: str | None = None) -> Literal["up", "down"] | None:
    """Say which way a label should go, by what its value or its name means; nothing where neither tells.

    words: of the label's name. positive: the value that counts as 1.

    >>> direction(["defaulted"]), direction(["is", "churn"], "No"), direction(["y"])
    ('down', 'up', None)
    """
    value = (positive or "").strip().lower()
    if value not in _SAY_NOTHING and (found := _way(value)) is not None:
        return found
    for word in ("".join(words), *words):
        if (found := _way(word)) is not None:
            denied = value in ("no", "n", "false", "0", "nein", "non")
            return found if not denied else "up" if found == "down" else "down"
    return None


def _way(word: str) -> Literal["up", "down"] | None:
    for plain in (word, re.sub(r"^(是否|(is|has|was|did)(?=\w{4}))", "", word)):
        if any(plain.startswith(stem) for stem in _DOWN.split()):
            return "down"
        if any(plain.startswith(stem) for stem in _UP.split()):
            return "up"
    for sign in _AGAINST:
        if word.startswith(sign) and (other := _way(word.removeprefix(sign).strip(" _"))) is not None:
            return "up" if other == "down" else "down"
    return None


def noun(name: str) -> str:
    """Give the word for what a column names, without what says that it is an id.

    >>> noun("book_id"), noun("stock_code"), noun("id"), noun("personid"), noun("qid")
    ('book', 'stock code', 'row', 'person', 'query')
    """
    name = name.removesuffix("_value")
    if name in _CALLED:
        return _CALLED[name]
    return re.sub(r"(_(id|ids|uid|uuid|key)|(?<=[a-z]{4})id)$", "", name).replace("_", " ") or name


def nouns(name: str) -> str:
    """Give the word for several of them.

    >>> nouns("movie_id"), nouns("category"), nouns("dish")
    ('movies', 'categories', 'dishes')
    """
    one = noun(name)
    if re.search(r"[^aeiou]y$", one):
        return f"{one[:-1]}ies"
    return f"{one}es" if re.search(r"(s|x|z|ch|sh)$", one) else f"{one}s"


def question_of(label: str, positive: str | None, judged: str) -> str:
    """Ask for the probability of a label.

    label, judged: our names of the columns.

    >>> question_of("clicked", None, "ad_id")
    'How likely is it that this ad is clicked?'
    >>> question_of("is_fraud", None, "card")
    'How likely is fraud for this card?'
    >>> question_of("y", "b", "row")
    'How likely is it that y is b for this row?'
    """
    word, this, said = _word(label), noun(judged), _said(label, positive)
    if said is not None:
        return _ASKED[said].format(word=word, this=this)
    value = 1 if positive is None else positive
    return f"How likely is it that {label} is {value} for this {this}?"


def quantity_of(label: str, positive: str | None, judged: str) -> str:
    """Name the quantity that should move.

    >>> quantity_of("clicked", None, "ad_id"), quantity_of("click", None, "ad"), quantity_of("y", "b", "row")
    ('share of ads that are clicked', 'clicks per request', 'share of rows whose y is b')
    """
    word, those, said = _word(label), nouns(judged), _said(label, positive)
    if said is not None:
        return _MOVED[said].format(word=word, those=those)
    return f"share of {those} whose {label} is {positive or 1}"


def _said(label: str, positive: str | None) -> Literal["does", "occurs", "counted", "is"] | None:
    """Tell how a sentence says a label that is yes or no; nothing where it can only name the value."""
    if not _says_yes(positive):
        return None
    word = _word(label)
    if word in _DOES:
        return "does"
    if word in _OCCURS:
        return "occurs"
    if word in _COUNTED:
        return "counted"
    return "is" if _is_said(word) else None


def _word(label: str) -> str:
    words = [word for word in label.split("_") if word not in _SAY_NOTHING]
    plain = words[0] if len(words) == 1 else label
    return re.sub(r"^is(?=(fraud|click|spam|churn)$)", "", plain)


def _says_yes(positive: str | None) -> bool:
    return positive is None or positive.lower() in ("yes", "y", "true", "t", "1", "1.0")


def _is_said(word: str) -> bool:
    return word in _IS or (word.endswith("ed") and "_" not in word and len(word) > 4)
