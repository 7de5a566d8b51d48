"""Values and names in messages: readable, whatever they are."""

from nerf_mini.errors import LONGEST_MESSAGE, LONGEST_QUOTE, UserError, listed, plain, printable, quoted


def test_what_is_quoted_is_cut_and_in_one_line():
    assert quoted("a b") == "'a b'" and quoted([1, 2]) == "[1, 2]"
    assert plain("a b.jpg") == "a b.jpg" and "\n" not in plain("a\nb")
    for text in (quoted("x" * 999), quoted(list(range(999))), plain("x" * 999)):
        assert len(text) == LONGEST_QUOTE and text.endswith("...")


def test_the_first_names_stand_for_many():
    names = [f"{index}.jpg" for index in range(7)]
    assert listed(names[:2]) == "0.jpg, 1.jpg" and listed([]) == ""
    assert listed(names) == "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more"
    assert listed(tuple(names), 1) == "0.jpg and 6 more"


def test_control_characters_are_shown_instead_of_obeyed():
    assert printable("a\x1b[2Jb\x07\x9b\u202e\udcff\r") == r"a\x1b[2Jb\x07\x9b\u202e\udcff\r"
    for text in ("two\nlines\tand a tab", "naïve 照片 λ", ""):
        assert printable(text) == text


def test_messages_have_a_readable_length_whatever_they_quote():
    path = "/data/" + "x" * 5000 + "/end.png"
    message = str(UserError(f"{path}: cannot be read. " + "It is long. " * 1000))
    assert len(message) <= LONGEST_MESSAGE and message.startswith("/data/xxx") and "/end.png: cannot" in message
    assert str(UserError("short: \x1b[31mred")) == r"short: \x1b[31mred"
    assert str(UserError(message)) == message, "told again, it stays the same"


def test_what_cannot_be_written_out_is_named_by_its_kind():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert quoted(10**5000) == "a value of the kind int" and quoted(deep) == "a value of the kind list"
