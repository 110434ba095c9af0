// Talks to the daemon through the window's own scheme (or, in browser tests, the loopback server).

/** What the daemon refused, as it explains it: `what`, `why`, `next`. */
export class ApiError extends Error {
  constructor(error, status) {
    super(error.what || "The daemon refused.");
    this.what = error.what || this.message;
    this.why = error.why || "";
    this.next = error.next || "";
    this.code = error.code || "";
    this.said = error.said;
    this.status = status;
  }
}

/** One request; `body` is JSON unless it is a Blob. */
export async function call(method, path, body, signal) {
  const options = { method, signal };
  if (body instanceof Blob) options.body = await body.arrayBuffer();
  else if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch(path, options);
  const status = Number(response.headers.get("X-Status") || response.status);
  let data = {};
  try {
    data = await response.json();
  } catch {
    throw new ApiError({ what: "The answer cannot be read.", code: "daemon" }, status);
  }
  if (status >= 400) throw new ApiError(data.error || {}, status);
  return data;
}

export const get = (path, signal) => call("GET", path, undefined, signal);
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/**
 * Call `use` with each new answer of a long poll until the returned function is called.
 * Pages that nobody sees do not ask.
 */
export function follow(address, use, failed = () => {}) {
  const stop = new AbortController();
  (async () => {
    let since = -1;
    while (!stop.signal.aborted) {
      try {
        await visible(stop.signal);
        const data = await get(address(since), stop.signal);
        since = data.version;
        if (!stop.signal.aborted) use(data);
        await sleep(200);
      } catch (error) {
        if (stop.signal.aborted) return;
        failed(error);
        await sleep(1500);
      }
    }
  })();
  return () => stop.abort();
}

export const overview = (use, failed) => follow((since) => `/v1/events?since=${since}&wait=20`, use, failed);

function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", () => {
      document.removeEventListener("visibilitychange", look);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
