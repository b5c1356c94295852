"""Who is told, by which way: people's channels, the rota, webhooks."""
