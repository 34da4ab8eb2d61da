"""Prompt learning in parts: patterns, label words, few-shot methods and their protocol.

``recipes.RECIPES`` names the methods; each is imported when it runs.
"""
