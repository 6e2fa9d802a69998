"""A journal of a simulation as a page for a browser: who sent what to whom, when, and which faults held then.

`events` reads the words of a journal's events, `model` puts them together (a sender's record and its receiver's are one
arrow), `page` writes the page. What is drawn and how is in `page/`, in plain JavaScript that fetches nothing.
"""

from testnet.report.page import write_report

__all__ = ["write_report"]
