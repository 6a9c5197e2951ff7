"""The fault matrix: rows as data (`rows/*.yaml`), one test that plays each in a guest, and the report."""
