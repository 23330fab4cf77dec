"""All that runs and talks to the outside: doors, reception, brain, outbox, sandbox, command line."""
