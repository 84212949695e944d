// What was judged before, in this browser and nowhere else: records and small previews, no files.

const NAME = "aligngemini";
const STORE = "judged";
const KEPT = 200;

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORE, { keyPath: "key", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keep one record; the oldest beyond the limit go. A browser that keeps nothing is no error. */
export async function keep(record) {
  try {
    await inStore("readwrite", (store) => store.add({ when: Date.now(), record }));
    const keys = await inStore("readonly", (store) => store.getAllKeys());
    const surplus = keys.slice(0, Math.max(0, keys.length - KEPT));
    if (surplus.length) {
      await inStore("readwrite", (store) => void surplus.forEach((key) => store.delete(key)));
    }
  } catch (error) {
    console.warn("history is not kept:", error);
  }
}

/** Newest first. */
export async function past() {
  try {
    return (await inStore("readonly", (store) => store.getAll())).reverse();
  } catch {
    return [];
  }
}

export async function forget(key) {
  await inStore("readwrite", (store) => store.delete(key));
}

export async function forgetAll() {
  await inStore("readwrite", (store) => store.clear());
}
