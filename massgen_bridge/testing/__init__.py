"""What adapter authors test with: loopback model servers, fixtures, conformance suites."""
