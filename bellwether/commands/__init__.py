"""Commands of `bellwether`, by what they are for. What a command needs is imported when it is known to be that one."""
