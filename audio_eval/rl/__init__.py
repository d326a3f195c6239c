"""Building blocks of adaptation methods: votes, views, rewards, advantages, experience, and the training loop."""
