"""The whole house from outside: real processes, the trained model, both platforms in another process."""
