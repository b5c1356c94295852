"""The only package that knows SQL and psycopg.

Functions take a connection and never commit: the loop or the request owns the transaction.
"""
