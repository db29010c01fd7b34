"""The room that makes a model small and proves that it is the same."""
