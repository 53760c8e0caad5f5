"""Words by which columns are called, in the languages that tables are often written in: data, and no rule."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

ENGLISH = {
    "time": "time date datetime timestamp day when at moment created occurred invoicedate",
    "person": "user customer person visitor client member account reader player passenger patient buyer "
    "employee subscriber household requester applicant caller borrower tenant uid userid customerid personid",
    "somebody": "session card cc cookie ip iban deviceid",
    "item": "item product content article movie film book song track ad creative campaign stock stockcode sku app game "
    "terminal merchant document doc video listing hotel restaurant store movieid itemid productid "
    "contentid adid banner post offer job course recipe",
    "label": "label target y click clicked isclick fraud isfraud fraudulent churn churned converted conversion bought "
    "purchased default defaulted spam outcome response responded success liked opened returned cancelled cancel exited "
    "left survived won accepted complaint installed subscribed relevant relevance grade attrition exited class "
    "readmitted deposit died",
    "rating": "rating stars score points rate grade note",
    "position": "position rank slot place",
    "propensity": "propensity pscore propensityscore",
    "kind": "event action type kind activity eventtype behavior behaviour",
    "part": "split part fold subset partition",
    "query": "query qid queryid",
}
OTHERS = {
    "person": "kunde kundin nutzer benutzer mitglied leser besucher cliente usuario utente persona comprador "
    "miembro client utilisateur acheteur membre abonne visiteur utilizador comprador "
    "пользователь клиент покупатель посетитель читатель 用户 客户 顾客 会员 买家 读者 ユーザー ユーザ 会員 顧客 利用者 "
    "مستخدم المستخدم عميل العميل زبون",
    "item": "artikel produkt ware buch anzeige producto articulo libro anuncio pelicula produit livre annonce prodotto "
    "articolo produto artigo livro filme товар продукт книга фильм объявление 商品 物品 产品 "
    "视频 电影 书籍 图书 广告 文章 "
    "アイテム 製品 作品 映画 書籍 広告 記事 動画 منتج المنتج سلعة كتاب فيلم إعلان",
    "time": "datum zeit zeitpunkt uhrzeit fecha hora tiempo heure temps data tempo дата время 时间 日期 时刻 "
    "日時 日付 時刻 "
    "تاريخ التاريخ وقت الوقت",
    "label": "geklickt gekauft gekundigt betrug clic clico comprado fraude abandono cancelado clique achete resilie "
    "clicado клик куплено мошенничество отток 点击 购买 转化 欺诈 流失 违约 标签 "
    "クリック 購入 解約 不正 نقرة شراء احتيال",
    "rating": "bewertung sterne puntuacion calificacion avaliacao оценка рейтинг 评分 打分 評価 تقييم",
}
THINGS = (
    "country city town village region state province county district ward department dept store branch shop "
    "outlet site warehouse unit machine device engine turbine vehicle pump meter sensor station host server antenna "
    "cell category subcategory brand model type class group segment tier agent doctor physician nurse teacher driver "
    "seller vendor supplier publisher advertiser merchant carrier airline airport exchange domain browser os platform "
    "queue team currency language nationality occupation profession industry land stadt ort filiale abteilung "
    "maschine pays ville ciudad pais cidade город страна 城市 国家 地区 类别 品牌 都市 国"
)
"""What names of this kind stand for is named by a number, and not measured by it."""
MEASURES = (
    "price cost fee amount value income salary revenue budget bid width height length depth size area weight volume "
    "distance age duration time days hours minutes seconds months years weeks tenure count quantity total sum "
    "rate ratio share percent percentage score points affinity temperature pressure speed humidity voltage power load "
    "level depth calls visits clicks views orders items purchases children rooms bedrooms bathrooms floors "
    "preis betrag alter anzahl gewicht menge dauer prix montant edad precio cantidad цена возраст 价格 年龄 数量 金额"
)
"""What is called so is measured or counted, however few values it has."""
AFTERWARDS = (
    "paid paying winning final settled settlement closed closing refund refunded returned resolved resolution csat "
    "survey outcome terminated termination actual billed chargeback recovered writeoff"
)
"""What is called so is often known only when all is over."""
NAMING = "编号 编码 番号 代码 コード 号 ид رقم معرف id no"  # that a column names something, at the end of its name
_UNSPACED = "是否 的 有无"  # before a word, where words are not parted


def fold(word: str) -> str:
    """Give a word in lower case and without accents: `Usuário` is usuario."""
    kept = unicodedata.normalize("NFKD", word.lower())
    return unicodedata.normalize("NFKC", "".join(letter for letter in kept if not unicodedata.combining(letter)))


HINTS = {
    role: frozenset(fold(word) for word in f"{words} {OTHERS.get(role, '')}".split()) for role, words in ENGLISH.items()
}
_COUNTED = frozenset(
    [
        "num",
        "n",
        "no",
        "number",
        "nr",
        "count",
        "counts",
        "total",
        "sum",
        "qty",
        "quantity",
        "avg",
        "mean",
        "max",
        "min",
    ]
)
_KINDS = {
    kind: frozenset(fold(word) for word in words.split())
    for kind, words in (("thing", THINGS), ("measure", MEASURES), ("afterwards", AFTERWARDS))
}
_NAMING = sorted((fold(word) for word in NAMING.split()), key=len, reverse=True)


def core(name: str) -> str:
    """Take from a name in a script that parts no words what says that it is an id, or that it answers yes or no.

    >>> core("用户编号"), core("是否点击"), core("user")
    ('用户', '点击', 'user')
    """
    found = fold(name).strip(" _-")
    if found.isascii():
        return found
    for sign in _UNSPACED.split():
        found = found.removeprefix(sign)
    for sign in _NAMING:
        if found.endswith(sign) and len(found) > len(sign):
            return found.removesuffix(sign).strip(" _-")
    return found


def names_something(name: str) -> bool:
    """Say whether a name that is not written in Latin letters is one of an id: it says so, or names people or items."""
    found = fold(name).strip(" _-")
    if found.isascii():
        return False
    ends = any(found.endswith(sign) and len(found) > len(sign) for sign in _NAMING)
    return ends or core(name) in HINTS["person"] | HINTS["item"]


def names_thing(words: Sequence[str]) -> bool:
    """Say whether the words of a name end with what a number can only name: a city, a ward, a machine.

    >>> names_thing(["home", "city"]), names_thing(["city", "pop"]), names_thing(["num", "store"])
    (True, False, False)
    """
    return _ends(words, "thing") and not _COUNTED & {fold(word) for word in words[:-1]}


def names_measure(words: Sequence[str]) -> bool:
    """Say whether the words of a name end with what is measured or counted, or begin with that it is.

    >>> names_measure(["paying", "price"]), names_measure(["user", "affinity", "79"]), names_measure(["weekday"])
    (True, True, False)
    """
    return _ends(words, "measure") or (len(words) > 1 and fold(words[0]) in _COUNTED)


def names_afterwards(words: Sequence[str]) -> bool:
    """Say whether a name speaks of what is known when all is over.

    >>> names_afterwards(["paying", "price"]), names_afterwards(["price"])
    (True, False)
    """
    return any(fold(word) in _KINDS["afterwards"] for word in words)


def _ends(words: Sequence[str], kind: str) -> bool:
    named = [fold(word) for word in words if not word.isdigit() and fold(word) not in ("id", "ids")]
    return bool(named) and (named[-1] in _KINDS[kind] or named[-1].removesuffix("s") in _KINDS[kind])
