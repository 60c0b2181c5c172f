"""Words for numbers in what people read."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things: ``1 photo``, ``2 photos``.

    Args:
        count: how many.
        one: what a single one is called; a verb may follow it ("photo is").
        many: what several are called; None: the same with an s.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"
