"""Write all pages that are made from the code, and the index of the decisions: `make reference`."""

from reference import decisions
from reference.pages import FOLDER, pages

for name, text in pages().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
decisions.INDEX.write_text(decisions.page(), encoding="utf-8")
