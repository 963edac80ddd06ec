"""What every database shares as a destination: session, write plans, ledger, state.

It names no engine.
"""
