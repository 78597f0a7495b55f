"""`relaydance batch`: what a file asks for, made once.

_app        what can be typed
_records    a file -> records               CSV, JSONL, Parquet, OpenAI's Batch format
_rows       a record -> a row               columns, templates, checks
_names      safe names of files
_run        a run's directory               its lock, its rows, what has come of them
_money      prices, and the budget
_work       a row -> its result             submitted, waited for, saved; what went wrong
_batch      the run itself                  the fan-out, signals, the end
_display    how far it is                   on a terminal, in lines, as JSON
_tell       status, doubts, retry, export
"""
