"""Who asks, and what they may: accounts, tokens, keys, what is held about people, and the log of every act."""
