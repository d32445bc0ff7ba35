// Every word of the page, in both languages, and the choice between them.

const KEY = 'lamella.language';

const TEXTS = {
  en: {
    pageTitle: 'Lamella · handwritten digits',
    otherLanguage: '中文',
    switchLanguage: '切换到中文',
    subtitle: 'Handwritten digits, from drawing to retraining',
    serviceVersion: 'In service: version {version}',
    serviceAccuracy: 'In service: version {version}, accuracy {accuracy}',
    serviceNone: 'No version in service',
    drawTitle: 'Draw a digit',
    drawLabel: 'Drawing area',
    drawHelp:
      'Mouse, pen or finger. Keyboard: arrow keys move, Space puts the pen down or lifts it, Escape clears.',
    invitation: 'Draw here, 0 to 9',
    clear: 'Clear',
    seen: 'What the model sees',
    answerTitle: 'What the model says',
    waiting: 'Draw a digit to see the answer.',
    answer: 'This is {label}: {share}',
    timing: '{milliseconds} ms from lifting the pen to the bars',
    feedbackTitle: 'Feedback',
    count: '{count} stored',
    countMore: 'more than {count} stored',
    wrong: 'Wrong? It is a …',
    itIs: 'It is {digit}',
    stored: 'Stored: it is {digit}. The next training learns from it.',
    storing: 'Storing …',
    noFeedback: 'None yet. Draw a digit that the model gets wrong.',
    example: 'Answered {predicted}, is {correct}',
    exampleUnanswered: 'Is {correct}',
    retrainTitle: 'Retrain',
    retrainHelp:
      'Trains on the data and all feedback, measures both models on the same hold-out, and replaces the one in service only if the new one is not worse.',
    retrain: 'Retrain',
    stop: 'Stop',
    stopped: 'Stopped. The version in service stays.',
    training: 'Training …',
    promoted: 'Version {version} is now in service',
    kept: 'Version {version} stays out of service: it is worse',
    accuracyOld: 'Before',
    accuracyNew: 'New',
    none: 'none',
    measured: 'Accuracy on {rows} rows held out; feedback used: {feedback}',
    COLLECT: 'Collect',
    CLEAN: 'Clean',
    PREPROCESS: 'Preprocess',
    QUALITY: 'Quality gate',
    TRAIN: 'Train',
    EVALUATE: 'Evaluate',
    COMPARE: 'Compare',
    REGISTER: 'Register',
    DEPLOY: 'Deploy',
    stateWAITING: 'waiting',
    stateSTARTED: 'running',
    statePROGRESS: 'running',
    stateDONE: 'done',
    stateFAILED: 'failed',
    stateSKIPPED: 'skipped',
    metricRows: '{value} rows',
    metricFeedbackRows: '{value} of feedback',
    metricRemoved: '{value} removed',
    metricLoss: 'loss {value}',
    metricAccuracy: 'accuracy {value}',
    metricSamplesPerSecond: '{value} samples/s',
    metricSizeBytes: '{value} KiB',
    signInTitle: 'Who are you?',
    signInHelp:
      'This server asks for an API key. It is kept until you close this tab, and sent to this server only.',
    keyLabel: 'API key',
    keyRefused: 'The server does not accept this key.',
    signIn: 'Continue',
    cancel: 'Cancel',
    leave: 'Forget the key',
    failed: 'It did not work: {problem}',
    unreachable: 'the server does not answer; is the kernel running?',
    notReady: 'No model is loaded yet; try again in a moment.',
    monitorTitle: 'Lamella · monitor',
    monitorSubtitle: 'Alerts and models, live',
    monitorLink: 'Monitor',
    consoleLink: 'Digits',
    alertsTitle: 'Alerts',
    noAlerts: 'Nothing is wrong.',
    alertFiring: 'fires',
    alertPending: 'may fire soon',
    alertSilenced: 'silenced',
    alertSince: 'since {time}',
    silence: 'Silence for an hour',
    unsilence: 'End the silence',
    troubled: 'These receivers take no alerts: {names}',
    driftTitle: 'Requests against training data',
    driftFeature: '{model}, {feature}: {value}',
    driftSince: 'drifts since {time}',
    driftNone: 'no drift',
    driftProblem: '{model} is not compared: {problem}.',
    chartRequests: 'Answers a second',
    chartFailures: 'Failures a second',
    chartLatency: 'Slowest of a hundred answers, ms',
    chartWaiting: 'Requests that wait',
    chartNow: '{model}: {value}',
    chartEmpty: 'Nothing to show yet.',
    monitorMissing: 'serving.monitor is not loaded.',
  },
  zh: {
    pageTitle: 'Lamella · 手写数字',
    otherLanguage: 'English',
    switchLanguage: 'Switch to English',
    subtitle: '手写数字：从书写到再训练',
    serviceVersion: '在用版本：{version}',
    serviceAccuracy: '在用版本：{version}，准确率 {accuracy}',
    serviceNone: '暂无在用版本',
    drawTitle: '写一个数字',
    drawLabel: '书写区',
    drawHelp: '可用鼠标、手写笔或手指。键盘：方向键移动，空格键落笔或抬笔，Esc 键清除。',
    invitation: '在此书写 0 到 9',
    clear: '清除',
    seen: '模型看到的图像',
    answerTitle: '模型的判断',
    waiting: '写一个数字，即可看到结果。',
    answer: '这是 {label}：{share}',
    timing: '从抬笔到显示结果用时 {milliseconds} 毫秒',
    feedbackTitle: '反馈',
    count: '已保存 {count} 条',
    countMore: '已保存超过 {count} 条',
    wrong: '判断错了？正确的是……',
    itIs: '正确的是 {digit}',
    stored: '已保存：正确的是 {digit}。下次训练会用到它。',
    storing: '正在保存……',
    noFeedback: '还没有反馈。写一个模型会认错的数字吧。',
    example: '判断为 {predicted}，正确为 {correct}',
    exampleUnanswered: '正确为 {correct}',
    retrainTitle: '再训练',
    retrainHelp: '用原有数据和全部反馈训练，在同一批留出数据上比较新旧模型；新模型不差于旧模型时才会替换。',
    retrain: '开始训练',
    stop: '停止',
    stopped: '已停止，在用版本不变。',
    training: '正在训练……',
    promoted: '版本 {version} 已投入使用',
    kept: '版本 {version} 未投入使用：效果变差',
    accuracyOld: '旧版本',
    accuracyNew: '新版本',
    none: '无',
    measured: '在 {rows} 条留出数据上的准确率，使用了 {feedback} 条反馈',
    COLLECT: '收集数据',
    CLEAN: '清洗',
    PREPROCESS: '预处理',
    QUALITY: '质量检查',
    TRAIN: '训练',
    EVALUATE: '评估',
    COMPARE: '比较',
    REGISTER: '登记',
    DEPLOY: '部署',
    stateWAITING: '等待',
    stateSTARTED: '进行中',
    statePROGRESS: '进行中',
    stateDONE: '完成',
    stateFAILED: '失败',
    stateSKIPPED: '跳过',
    metricRows: '{value} 行',
    metricFeedbackRows: '反馈 {value} 条',
    metricRemoved: '剔除 {value} 行',
    metricLoss: '损失 {value}',
    metricAccuracy: '准确率 {value}',
    metricSamplesPerSecond: '每秒 {value} 个样本',
    metricSizeBytes: '{value} KiB',
    signInTitle: '请说明身份',
    signInHelp: '此服务器需要 API 密钥。密钥只保存到关闭此标签页为止，并且只发送给此服务器。',
    keyLabel: 'API 密钥',
    keyRefused: '服务器不接受此密钥。',
    signIn: '继续',
    cancel: '取消',
    leave: '清除密钥',
    failed: '未能完成：{problem}',
    unreachable: '服务器没有响应，内核是否在运行？',
    notReady: '模型尚未加载，请稍后再试。',
    monitorTitle: 'Lamella · 监控',
    monitorSubtitle: '告警与模型的实时状态',
    monitorLink: '监控',
    consoleLink: '手写数字',
    alertsTitle: '告警',
    noAlerts: '一切正常。',
    alertFiring: '告警中',
    alertPending: '可能即将告警',
    alertSilenced: '已静默',
    alertSince: '始于 {time}',
    silence: '静默一小时',
    unsilence: '结束静默',
    troubled: '以下接收方未收到告警：{names}',
    driftTitle: '请求与训练数据的差异',
    driftFeature: '{model}，{feature}：{value}',
    driftSince: '自 {time} 起漂移',
    driftNone: '无漂移',
    driftProblem: '{model} 未比较：{problem}。',
    chartRequests: '每秒应答数',
    chartFailures: '每秒失败数',
    chartLatency: '最慢百分之一应答的时间（毫秒）',
    chartWaiting: '等待中的请求',
    chartNow: '{model}：{value}',
    chartEmpty: '暂无数据。',
    monitorMissing: '未加载 serving.monitor。',
  },
};

const watchers = [];
let language = firstLanguage();

/** The text of a key with its `{parts}` filled in. */
export function text(key, parts = {}) {
  const pattern = TEXTS[language][key] ?? key;
  return pattern.replace(/\{(\w+)\}/g, (whole, name) => String(parts[name] ?? whole));
}

/** A share as a percentage in the reader's notation. */
export function percent(share, digits = 1) {
  return number(share, { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A number in the reader's notation. */
export function number(value, options = {}) {
  return new Intl.NumberFormat(tag(), options).format(value);
}

/** Calls back now and after each change of language. */
export function onLanguage(show) {
  watchers.push(show);
  show();
}

/** Changes to the other language. */
export function switchLanguage() {
  language = language === 'en' ? 'zh' : 'en';
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Without storage the choice holds until the page is left.
  }
  for (const show of watchers) show();
}

/** Puts the texts into all elements that name one. */
export function showTexts() {
  document.documentElement.lang = tag();
  document.title = text(document.documentElement.dataset.title ?? 'pageTitle');
  for (const element of document.querySelectorAll('[data-text]'))
    element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', text(element.dataset.label));
  }
}

function tag() {
  return language === 'zh' ? 'zh-CN' : 'en';
}

function firstLanguage() {
  let kept;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    kept = undefined;
  }
  if (kept === 'en' || kept === 'zh') return kept;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
