"""The tests of packages in virtual time, for the same packages in all languages."""
