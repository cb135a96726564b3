"""What stands where on the pages of a PDF."""

import collections
import itertools
from collections.abc import Iterator
from pathlib import Path

import pypdfium2

EDGE = 20.0  # points: nothing is printed closer to the paper's edge
SHARED = 0.05  # of a page's letters; accents and fractions in formulas overlap by right

Box = tuple[float, float, float, float]


def problems(pdf: Path) -> list[str]:
    """Say what leaves its page, and where letters are printed on top of each other."""
    found = []
    document = pypdfium2.PdfDocument(pdf)
    for number, page in enumerate(document, start=1):
        width, height = page.get_size()
        letters = list(_letters(page))
        out = [box for box in letters if _leaves(box, width, height)]
        if out:
            found.append(f"page {number}: {len(out)} letters leave it, for example at {out[0]}")
        for each in page.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=1):
            if _leaves(each.get_bounds(), width, height):
                found.append(f"page {number}: an image leaves it, {each.get_bounds()}")
        pairs = _overlaps(letters)
        if pairs > max(SHARED * len(letters), 20):
            found.append(f"page {number}: {pairs} pairs of letters are printed over each other")
    return found


def _letters(page: pypdfium2.PdfPage) -> Iterator[Box]:
    text = page.get_textpage()
    for place in range(text.count_chars()):
        if text.get_text_range(place, 1).strip():
            yield text.get_charbox(place)


def _leaves(box: Box, width: float, height: float) -> bool:
    left, bottom, right, top = box
    return left < EDGE or bottom < EDGE or right > width - EDGE or top > height - EDGE


def _overlaps(letters: list[Box]) -> int:
    """Count pairs of letters that share more than half of the smaller one."""
    near = collections.defaultdict(list)
    pairs = 0
    for box in letters:
        left, bottom, right, top = box
        if right - left < 1 or top - bottom < 1:
            continue
        x, y = int((left + right) // 12), int((bottom + top) // 12)
        cells = itertools.product((x - 1, x, x + 1), (y - 1, y, y + 1))
        for other in itertools.chain.from_iterable(near[cell] for cell in cells):
            across = min(right, other[2]) - max(left, other[0])
            down = min(top, other[3]) - max(bottom, other[1])
            least = min(_area(box), _area(other))
            pairs += across > 0 and down > 0 and across * down > 0.5 * least
        near[x, y].append(box)
    return pairs


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
