"""Files and warehouses read as tables, and one clear error for each way in which they cannot be."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bottega as bt
from bottega.data.source import Place, files, fingerprint, read
from bottega.errors import DataError

ROWS = pa.table({"InvoiceNo": ["536365", "C536379"], "Quantity": [6, -1], "InvoiceDate": ["2010-12-01", "2010-12-02"]})
CSV = "InvoiceNo,Quantity,InvoiceDate\n536365,6,2010-12-01\nC536379,-1,2010-12-02\n"


def orders(source: str = "orders", **fields: object) -> bt.Table:
    return bt.Table("orders", source, **fields)


def refused(folder: Path, table: bt.Table) -> DataError:
    with pytest.raises(DataError) as error:
        read(table, Place(folder))
    assert error.value.allowed
    return error.value


def test_one_design_reads_parquet_and_csv(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    pq.write_table(ROWS, tmp_path / "a/orders.parquet")
    (tmp_path / "b/orders.csv").write_text(CSV)
    (tmp_path / "c/orders.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    table = orders(time="InvoiceDate")
    for name in ("a", "b", "c"):
        assert read(table, Place(tmp_path / name)).to_pylist() == ROWS.to_pylist()
        assert read(orders(str(tmp_path / name / "orders"), time="InvoiceDate"), Place(None)).num_rows == 2


def test_globs_and_folders_come_in_the_order_of_names(tmp_path: Path) -> None:
    folder = tmp_path / "day[1]"
    folder.mkdir()
    for name in ("b", "a", "c"):
        pq.write_table(pa.table({"x": [name]}), folder / f"{name}.parquet")
    (folder / "d.csv").write_text("x\nd\n")
    (folder / "_SUCCESS").touch()
    (folder / ".hidden.csv").write_text("x\nh\n")
    assert read(orders("day[1]"), Place(tmp_path))["x"].to_pylist() == ["a", "b", "c", "d"]
    assert read(orders("*.parquet"), Place(folder))["x"].to_pylist() == ["a", "b", "c"]
    assert [path.name for path in files(orders("[ac].parquet"), Place(folder))] == ["a.parquet", "c.parquet"]
    absolute = str(tmp_path / "day?1?" / "*.csv")
    assert [path.name for path in files(orders(absolute), Place(None)) if path.name[0] != "."] == ["d.csv"]


def test_columns_get_our_names(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "orders.parquet")
    columns = {"invoice": "InvoiceNo", "number": "InvoiceNo", "sold_at": "InvoiceDate"}
    table = read(orders(columns=columns, time="sold_at"), Place(tmp_path))
    assert table.column_names == ["invoice", "number", "Quantity", "sold_at"]
    assert table["number"].equals(table["invoice"])


def test_a_name_that_ends_in_a_bar_may_be_missing(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "orders.parquet")
    columns = {"invoice": "Invoice|InvoiceNo|", "price": "Price|UnitPrice|"}
    table = read(orders(columns=columns), Place(tmp_path))
    assert table.column_names == ["invoice", "Quantity", "InvoiceDate"]
    assert "price" in refused(tmp_path, orders(columns=columns, key="price")).found
    assert "'Price'" in refused(tmp_path, orders(columns={"price": "Price|UnitPrice"})).found


def test_keys_and_patterns_keep_their_zeros_in_csv(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("a,b,c,d,e\n007,08,09,010,1.0\n1,2,3,4,2.0\n,,,,\n")
    table = orders(key="a", event_id="id", checks=[bt.Pattern("c", r"\d+")], columns={"id": "b"})
    got = read(table, Place(tmp_path), text=["e"])
    assert got["a"].to_pylist() == ["007", "1", None]
    assert got["id"].to_pylist() == ["08", "2", None]
    assert got["c"].to_pylist() == ["09", "3", None]
    assert got["d"].to_pylist() == [10, 4, None]
    assert got["e"].to_pylist() == ["1", "2", None]  # as pandas writes whole numbers with gaps


def test_files_that_infer_different_types_agree(tmp_path: Path) -> None:
    for name, value in (("a", "007,1,"), ("b", "x7,1.5,"), ("c", "8,2,z")):
        (tmp_path / f"{name}.csv").write_text(f"x,y,z\n{value}\n")
    got = read(orders("*.csv"), Place(tmp_path))
    assert got.to_pydict() == {"x": ["007", "x7", "8"], "y": [1.0, 1.5, 2.0], "z": [None, None, "z"]}


def test_quotes_breaks_marks_and_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('\ufefftext,n\n"a, ""b""\nc",1\nNA,NA\n'.encode())
    assert read(orders("a.csv"), Place(tmp_path)).to_pydict() == {"text": ['a, "b"\nc', "NA"], "n": [1, None]}
    (tmp_path / "b.csv").write_bytes("text\nCafé\n".encode("latin-1"))
    assert read(orders("b.csv", encoding="latin-1"), Place(tmp_path))["text"].to_pylist() == ["Café"]


def test_categories_become_plain_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array(["a", "b", "a"]).dictionary_encode()}), tmp_path / "orders.parquet")
    assert read(orders(), Place(tmp_path))["x"].to_pylist() == ["a", "b", "a"]
    for kind in (pa.dictionary(pa.int8(), pa.large_string()), pa.large_string(), pa.string_view()):
        pq.write_table(pa.table({"x": pa.array(["a", None], kind)}), tmp_path / "orders.parquet")
        assert read(orders(), Place(tmp_path)).schema.field("x").type == pa.string()


def test_a_folder_of_pictures_has_a_folder_for_each_label(tmp_path: Path) -> None:
    held = {"shoe/1.png": b"a", "shoe/2.JPG": b"", "bag/1.png": b"not a picture", "shoe/notes.txt": b"x"}
    held |= {"shoe/.hidden.png": b"x", "_old/1.png": b"x", ".git/1.png": b"x", "empty/notes.txt": b"x"}
    for name, body in held.items():
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(body)
    rows = [
        {"id": "bag/1.png", "image": b"not a picture", "kind": "bag"},
        {"id": "shoe/1.png", "image": b"a", "kind": "shoe"},
        {"id": "shoe/2.JPG", "image": b"", "kind": "shoe"},
    ]
    table = bt.Table("pictures", columns={"kind": "label"}, key="id")
    before = fingerprint(table, Place(tmp_path))
    for source in ("pictures", "none|pictures", "pictures/[bs]*/[0-9]*"):
        named = bt.Table("pictures", source, columns={"kind": "label"}, key="id")
        assert read(named, Place(tmp_path)).to_pylist() == rows
    (tmp_path / "pictures" / "beside.gif").write_bytes(b"b")
    assert {"id": "beside.gif", "image": b"b", "kind": None} in read(table, Place(tmp_path)).to_pylist()
    assert fingerprint(table, Place(tmp_path)) != before
    pq.write_table(pa.table({"id": ["t"], "label": ["x"]}), tmp_path / "pictures" / "table.parquet")
    assert read(table, Place(tmp_path)).to_pylist() == [{"id": "t", "kind": "x"}]  # a table there goes before pictures


def test_a_folder_of_pictures_without_labels_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("1.png", "2.png", "notes.txt"):
        (tmp_path / "pictures" / name).write_bytes(b"x")
    error = refused(tmp_path, bt.Table("pictures", "pictures|fashion_mnist"))
    assert "'pictures'" in error.found
    assert "holds 2 .png and 1 .txt" in error.found
    assert "pictures/LABEL/NAME.png" in error.allowed
    assert "a folder for each label, or their bytes into a column of Parquet" in error.fix


def test_a_missing_file_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/orders.csv").write_text(CSV)
    error = refused(tmp_path, orders("shop/order.csv"))
    assert "did you mean 'shop/orders.csv'?" in error.fix
    assert "--data DIR" in error.fix
    assert "shop/orders.csv" in error.allowed
    assert "BOTTEGA_DATA" in refused(tmp_path / "nowhere", orders()).fix
    with pytest.raises(DataError, match="no data folder") as raised:
        read(orders(), Place())
    assert "BOTTEGA_DATA" in raised.value.fix
    (tmp_path / "orders.xlsx").touch()
    assert "another kind" in str(refused(tmp_path, orders("orders.xlsx")).found)


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"x": list(range(10_000))}), path)
    whole = path.read_bytes()
    for damaged in (whole[:-100], whole[:100], b"", b"PAR1", whole[:4] + bytes(2000) + whole[2004:]):
        path.write_bytes(damaged)
        error = refused(tmp_path, orders())
        assert error.where == str(path)
        assert "Parquet" in str(error.found) or "empty file" in str(error.found)


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        ("a,b\n1,2\n3\n4,5\n", ":3", "1 values where the header names 2"),
        ('a,b\n"x\ny",2\n3,4,5\n', ":4", "3 values where the header names 2"),
        ("a,b\n1,2\n3,4\n5", ":4", "1 values where the header names 2"),
        ("a,a\n1,2\n", "", "two columns named 'a'"),
        ("", "", "an empty file"),
    ],
)
def test_broken_csv_is_named_with_its_line(tmp_path: Path, content: str, line: str, found: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(content)
    error = refused(tmp_path, orders())
    assert (error.where, error.found) == (f"{path}{line}", found)


@pytest.mark.parametrize("key", [None, "b"])
def test_a_wrong_encoding_is_named_with_its_line(tmp_path: Path, key: str | None) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes("a,b\n1,x\n2,Café\n".encode("latin-1"))
    error = refused(tmp_path, orders(key=key))
    assert (error.where, error.fix) == (
        f"{path}:3",
        "name the file's encoding in the table: encoding='latin-1'",
    )
    assert "unknown" in str(refused(tmp_path, orders(encoding="utf-88")).found)
    path.write_bytes("a,Café\n1,x\n".encode("latin-1"))
    assert refused(tmp_path, orders()).where == f"{path}:1"


def test_a_truncated_gzip_file_is_named(tmp_path: Path) -> None:
    import random

    path = tmp_path / "orders.csv.gz"
    lines = "".join(f"{random.Random(row).random()},{row}\n" for row in range(5000))
    whole = gzip.compress(("a,b\n" + lines).encode())
    for damaged in (whole[: len(whole) // 2], b"a,b\n1,2\n", whole[:100] + bytes(1000) + whole[1100:]):
        path.write_bytes(damaged)
        error = refused(tmp_path, orders())
        assert error.where.startswith(str(path))


def test_no_row_at_all(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("a,b\n")
    assert "no row" in str(refused(tmp_path, orders()).found)
    pq.write_table(ROWS.slice(0, 0), tmp_path / "empty.parquet")
    assert "no row" in str(refused(tmp_path, orders("empty.parquet")).found)


@pytest.mark.parametrize(
    ("fields", "where", "fix"),
    [
        ({"time": "invoice_date"}, "data.tables[orders].time", "did you mean 'InvoiceDate'?"),
        ({"created": "Quantiti"}, "data.tables[orders].created", "did you mean 'Quantity'?"),
        (
            {"key": ["Quantity", "x"]},
            "data.tables[orders].key",
            "name yours in columns=…, or begin from this table: bottega new NAME --from orders.parquet",
        ),
        ({"columns": {"at": "InvoiceDat"}}, "data.tables[orders].columns[at]", "did you mean 'InvoiceDate'?"),
        (
            {"columns": {"at": "InvoiceDate"}, "time": "InvoiceDate"},
            "data.tables[orders].time",
            "it is renamed here: 'at'",
        ),
    ],
)
def test_a_wrong_column_is_guessed(tmp_path: Path, fields: dict, where: str, fix: str) -> None:
    pq.write_table(ROWS, tmp_path / "orders.parquet")
    error = refused(tmp_path, orders(**fields))
    assert (error.where, error.fix) == (where, fix)
    assert "orders.parquet" in str(error.found)
    assert "one of " in error.allowed


def test_a_name_that_the_source_uses_is_refused(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "orders.parquet")
    error = refused(tmp_path, orders(columns={"Quantity": "InvoiceNo"}))
    assert "of its own" in str(error.found)
    swapped = orders(columns={"Quantity": "InvoiceNo", "InvoiceNo": "Quantity"})
    assert read(swapped, Place(tmp_path))["Quantity"].to_pylist() == ["536365", "C536379"]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_parts_the_values_is_seen(tmp_path: Path, sign: str, data: st.DataObject) -> None:
    words = st.text("ab ,;|\t\"'\n\u00e9", min_size=1, max_size=6).filter(lambda word: word.strip() == word)
    names = data.draw(st.lists(st.text("abc", min_size=1), min_size=2, max_size=4, unique=True))
    rows = data.draw(st.lists(st.tuples(*[words.map("w{}".format) for _ in names]), min_size=1, max_size=5))
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=sign).writerows([names, *rows])
    got = read(orders("rows.csv"), Place(tmp_path))
    assert got.to_pylist() == [dict(zip(names, row, strict=True)) for row in rows]


def test_numbers_between_semicolons_may_have_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b;c;d\n1,5;7; 2,25 ;1,5\n-2;8;;1.000,5\n")
    assert read(orders("a.csv"), Place(tmp_path)).to_pydict() == {
        "a": [1.5, -2.0], "b": [7, 8], "c": [2.25, None], "d": ["1,5", "1.000,5"]
    }  # fmt: skip
    (tmp_path / "a.csv").write_text('a,b\n"1,500",2\n')  # between commas it parts thousands, or is text
    assert read(orders("a.csv"), Place(tmp_path))["a"].to_pylist() == ["1,500"]


def test_one_column_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("what; when\nx\ny\n")
    assert read(orders("a.csv"), Place(tmp_path)).to_pydict() == {"what; when": ["x", "y"]}
    assert "parted otherwise" in refused(tmp_path, orders("a.csv", time="when")).fix


def test_the_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.csv").write_text("a\n1\n")
        (tmp_path / name / "2.csv").write_text("a\n2\n")
    table = orders("*.csv")
    first = fingerprint(table, Place(tmp_path / "x"))
    assert fingerprint(table, Place(tmp_path / "y")) == first
    (tmp_path / "y/2.csv").write_text("a\n3\n")
    changed = fingerprint(table, Place(tmp_path / "y"))
    (tmp_path / "y/2.csv").write_text("a\n2\n")
    (tmp_path / "y/2.csv").rename(tmp_path / "y/3.csv")
    assert len({first, changed, fingerprint(table, Place(tmp_path / "y"))}) == 3


def test_a_warehouse_gives_its_tables(tmp_path: Path) -> None:
    import duckdb

    url = f"duckdb://{tmp_path / 'shop.db'}"
    with duckdb.connect(str(tmp_path / "shop.db")) as engine:
        engine.register("rows", ROWS)
        engine.execute("CREATE TABLE orders AS SELECT * FROM rows; CREATE SCHEMA raw")
        engine.execute("CREATE TABLE raw.lines AS SELECT * FROM rows LIMIT 1")
    place = Place(None, url)
    assert read(orders(""), place).to_pylist() == ROWS.to_pylist()
    assert read(orders("not/there"), place).num_rows == 2  # the table's own name
    assert read(bt.Table("x", "raw.lines"), place).num_rows == 1
    before = fingerprint(orders(""), place)
    assert fingerprint(orders(""), place) == before
    with duckdb.connect(str(tmp_path / "shop.db")) as engine:
        engine.execute("UPDATE orders SET Quantity = 7 WHERE Quantity = 6")
    assert fingerprint(orders(""), place) != before
    with pytest.raises(DataError) as error:
        read(bt.Table("oders"), place)
    assert error.value.fix == "did you mean 'orders'?"
    with pytest.raises(DataError) as error:
        read(orders(""), Place(None, "nosuchengine://x"))
    assert error.value.where == "--warehouse"


@pytest.mark.parametrize("url", ["duckdb://typo.duckdb", "typo.db", "sqlite://nowhere/typo.sqlite"])
def test_a_database_file_that_is_not_there_is_refused_and_not_made(url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tipo.duckdb").touch()
    with pytest.raises(DataError, match="no file") as caught:
        read(bt.Table("orders"), Place(None, url))
    assert caught.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["tipo.duckdb"]


def test_no_password_stands_in_a_message() -> None:
    with pytest.raises(DataError) as caught:
        read(bt.Table("orders"), Place(None, "nosuchengine://shop:secret@db/orders"))
    assert "secret" not in str(caught.value)
    assert "shop:***@db" in str(caught.value)


def test_rows_are_numbered_where_nothing_names_them(tmp_path: Path) -> None:
    for name, values in (("a", [7, 8]), ("b", [9])):
        pq.write_table(pa.table({"x": values}), tmp_path / f"{name}.parquet")
    table = bt.Table("t", "*.parquet", row="line")
    assert read(table, Place(tmp_path)).to_pylist() == [{"x": 6 + line, "line": line} for line in (1, 2, 3)]
    with pytest.raises(DataError, match=r"(?s)a column 'x' is there already.*a new name"):
        read(bt.Table("t", "*.parquet", row="x"), Place(tmp_path))


def test_a_column_without_a_name_and_half_floats_are_read(tmp_path: Path) -> None:
    halves = pa.array(np.arange(2).astype(np.float16))
    pq.write_table(pa.table({"a": [1, 2], "": halves}), tmp_path / "t.parquet")
    found = read(bt.Table("t", "t.parquet"), Place(tmp_path))
    assert found.schema == pa.schema([("a", pa.int64()), ("column_2", pa.float32())])
