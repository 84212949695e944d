// What the page asks of the server.

const KEY = "aligngemini-key";
const TRIES = 6;
const LONGEST_WAIT = 30; // seconds

export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.problem = problem;
    this.status = status;
  }
}

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** One image judged: its record, also where the record says that it could not be. */
export async function detect(file, { onWait, signal } = {}) {
  const answer = await post("/v1/detect?heatmaps=true&previews=true&explain=true", [file], "application/json", {
    onWait,
    signal,
  });
  if (answer.ok) return (await answer.json()).results[0];
  const problem = await problemOf(answer);
  if (problem.record) return problem.record;
  throw new Refused(problem, answer.status);
}

/** The HTML report of files that were judged. */
export async function report(files, options) {
  const answer = await post("/v1/detect?heatmaps=true&previews=true", files, "text/html", options);
  if (!answer.ok) throw new Refused(await problemOf(answer), answer.status);
  return answer.blob();
}

export async function models() {
  const answer = await fetch("/v1/models", { headers: headers() });
  if (!answer.ok) throw new Refused(await problemOf(answer), answer.status);
  return answer.json();
}

async function post(url, files, accept, { onWait, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const body = new FormData();
    for (const file of files) body.append("file", file, file.name || "pasted.png");
    const answer = await fetch(url, { method: "POST", body, signal, headers: headers({ Accept: accept }) });
    const busy = answer.status === 429 || answer.status === 503;
    if (!busy || attempt === TRIES) return answer;
    const seconds = Math.min(Number(answer.headers.get("Retry-After")) || attempt, LONGEST_WAIT);
    onWait?.(seconds);
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function problemOf(answer) {
  try {
    return await answer.json();
  } catch {
    return { title: answer.statusText };
  }
}
