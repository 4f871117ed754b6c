"""Metadata lives in setup.cfg; this file is what tools that know no setup.cfg call."""

from setuptools import setup

setup()
