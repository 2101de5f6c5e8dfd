"""Write all pages of docs/reference that are made from the code: `make reference`."""

from reference.pages import FOLDER, pages

for name, text in pages().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
