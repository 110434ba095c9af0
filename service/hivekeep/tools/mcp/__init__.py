"""Tools that MCP servers of the user's choosing offer, over their standard input and output.

Responsible for the road from a server's description to a tool that an agent may be granted, and
for the processes on that road; which server may start and what may be called is policy's to say.
Invariant: a server runs in the tool sandbox, what it says is parsed in a confined process, and
whatever comes back is untrusted text of bounded length.

Model Context Protocol: modelcontextprotocol.io/specification; the wire is the official SDK's.
"""

from hivekeep.tools.mcp.hosts import McpHosts
from hivekeep.tools.mcp.servers import Server, ServerFile, ToolPin, pins_of
from hivekeep.tools.mcp.tool import McpTool, tools_of

__all__ = ["McpHosts", "McpTool", "Server", "ServerFile", "ToolPin", "pins_of", "tools_of"]
