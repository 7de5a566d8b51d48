"""Values and names in messages: readable, whatever they are."""

from nerf_mini.errors import LONGEST_QUOTE, listed, plain, quoted


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
