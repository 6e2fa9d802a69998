// Records of a trace as trees: all messages of one lineage, each below the one that it was sent for.

const MOST_TREES = 100;
const MOST_MESSAGES = 200;

export class Trees {
  constructor() {
    this.byRoot = new Map();
  }

  add(record) {
    let tree = this.byRoot.get(record.root);
    if (!tree) {
      tree = { root: record.root, messages: new Map(), tops: [], omitted: 0 };
      this.byRoot.set(record.root, tree);
      if (this.byRoot.size > MOST_TREES) this.byRoot.delete(this.byRoot.keys().next().value);
    }
    const message = tree.messages.get(record.id) ?? inherited(tree, record) ?? enter(tree, record);
    if (!message) tree.omitted += 1;
    else if (record.step === 'handed over') message.handed ??= record;
    else if (record.step === 'arrived there') message.arrived ??= record;
    else if (record.step !== 'sent') message.outcomes.push(record);
  }

  // The newest first.
  all() {
    return [...this.byRoot.values()].reverse();
  }
}

// What inherited from a request that was never on this node, and was answered (G10).
function inherited(tree, record) {
  const above = record.step === 'answered' ? tree.messages.get(record.parent) : null;
  return above && above.sent.inherits && !above.sent.expects ? above : null;
}

function enter(tree, record) {
  if (tree.messages.size >= MOST_MESSAGES) return null;
  const message = { sent: record, handed: null, arrived: null, outcomes: [], children: [] };
  tree.messages.set(record.id, message);
  (tree.messages.get(record.parent)?.children ?? tree.tops).push(message);
  return message;
}
