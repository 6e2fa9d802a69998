"""The table of docs/errors.md, row by row: what goes wrong, who is told what and when, what the nodes' logs say.

`page` reads the table; `in_memory` and `on_sockets` have one function for each row, which makes it go wrong and returns
what was seen; the tests compare. A row without a function, or a function without a row, is an error. So a new row is a
line on the page and an entry in both.
"""
