"""Encoders that neither smp nor timm has; importing this registers them with smp."""
