#include "fhir/outcome_words.h"

#include <string.h>

struct words {
    const char *code;    /* stays when the sentence is written better: screens and programs may ask for it */
    const char *english; /* the text of a FAIL; one * stands for what differs from call to call */
    const char *chinese;
};

/* What a person at a screen or at a device may meet, in the order of the folders. What only a program can do wrong
 * stays in English behind the words of its kind. */
static const struct words sentences[] = {
    { "change-password-first", "change the password first", "请先修改密码" },
    { "role-lacks-right", "the role * lacks the right '*", "当前岗位没有这项权限" },
    { "role-without-type", "the role * has no *", "当前岗位不能办理这类记录" },
    { "role-may-not", "the role * may not *", "当前岗位不能更改这条记录" },
    { "not-to-be-seen", "there is no such resource, or it is not to be seen",
      "没有这条记录，或不在您可查阅的范围内" },
    { "no-such-id", "there is no resource with that id", "没有这条记录，或不在您可查阅的范围内" },
    { "no-such-resource", "there is no such resource", "没有这条记录，或不在您可查阅的范围内" },
    { "no-such-version", "there is no such version", "没有这个版本" },
    { "masked-unchangeable", "who sees a * masked cannot change it", "看到的是遮蔽后的内容，不能更改" },
    { "parameter-masked", "the parameter '*' would reveal what is masked for this role",
      "不能按遮蔽的内容查找或排序" },
    { "deleted", "the resource has been deleted", "这条记录已删除" },
    { "no-address", "there is nothing at this address", "没有这个地址" },
    { "method-not-offered", "this method is not offered at this address", "这个地址不支持此操作方式" },
    { "method-unknown", "this method is not known here", "不支持此操作方式" },
    { "no-such-account", "there is no such account", "没有这个账号" },
    { "account-name-form", "an account's name has *", "账号须为 2 至 64 位字母、数字、点、横线或下划线" },
    { "account-exists", "an account of this name exists", "已有同名账号" },
    { "no-such-person", "there is no such Practitioner: enter the person first",
      "没有这个人员，请先登记人员" },
    { "person-elsewhere", "this person holds a post at another hospital: its administrator decides",
      "此人在其他医院任职，由该院管理员办理" },
    { "no-such-job", "there is no such job*", "没有这个任务，或其文件已清除" },
    { "no-such-group", "there is no such Group", "没有这个分组" },
    { "view-values", "column '*' has several values and is no collection",
      "视图中有一列取到多个值，但没有声明为集合" },
    { "no-source", "source: rows are made of this server's own records only",
      "source：只能用本服务器的记录生成表格" },
    { "no-parameter", "'*' is not a parameter of this operation here", "本操作不支持其中一个参数" },
    { "no-system", "give the system of the code, or inferSystem=true", "请给出代码所属的代码系统" },
    { "erase-held", "the record is under a legal hold: nothing of it can be erased",
      "该病历已封存，不能清除" },
    { "erase-images", "the record has images, and these cannot be erased yet", "该病历含影像，目前不能清除" },
    { "erase-other", "another person confirms what somebody asked for",
      "须由另一人确认，不能由申请人自己确认" },
    { "erase-decided", "it was decided already", "该申请已处理" },
    { "erase-rule", "rule is patient-request, *", "请写明清除依据：患者要求、保存期满、录入错误或法院裁定" },
    { "job-fixed", "this job cannot be *", "这个任务不能这样处理" },
    { "job-not-failed", "only a job that failed is tried again", "只有失败的任务可以重试" },
    { "job-not-waiting", "only a job that waits can be taken back", "任务已经开始或结束" },
    { "job-goes-on", "goes on after the next start", "服务重启后继续" },
    { "job-input-gone", "the file of the import is gone", "导入的文件已清除，请重新导入" },
    { "endpoint-not-listed", "the endpoint is not on this server's list*",
      "接收地址不在本服务器的许可名单内，请联系运维人员" },
    { "no-such-topic", "criteria is the canonical URL of a topic of this server", "没有这个订阅主题" },
    { "accounts-full", "there are * accounts, the most that this program keeps", "账号数已达上限" },
    { "post-ended", "the post has ended or was taken away: sign in again", "岗位已结束或被撤销，请重新登录" },
    { "post-not-held", "this person does not hold that post", "此人没有这个岗位" },
    { "sign-in-crowded", "too many people sign in at once: try again in a few seconds",
      "同时登录的人较多，请几秒后再试" },
    { "patch-large", "the patch needs more memory than a request may use", "修改内容过大" },
    { "sign-in-memory", "no memory to hash a password: try again", "服务器内存不足，请稍后再试" },
    { "own-key-in-work", "the server's key is just being made: try again in a few seconds",
      "服务器密钥正在生成，请几秒后再试" },
    { "sessions-full", "too many people are signed in at once", "同时在线人数已达上限" },
    { "password-long", "a password has at most *", "密码过长" },
    { "password-text-long", "a password is text of at most *", "密码过长" },
    { "password-short", "a password needs at least *", "密码太短" },
    { "password-common", "this password is among the first that are tried: choose another",
      "这个密码太常见，请换一个" },
    { "password-has-account", "a password must not hold the account's name", "密码中不能含有账号" },
    { "password-same", "the new password is the old one", "新密码不能与原密码相同" },
    { "password-by-person", "a password is changed by its person, at a screen", "密码只能由本人登录后修改" },
    { "sign-by-person", "only a person at a screen can sign", "只有本人登录后才能签名" },
    { "sign-needs-password", "the password is needed again before signing", "签名前须再次输入密码" },
    { "sign-in-wrong", "the name or the password is wrong, or the account is disabled",
      "账号或密码不正确，或账号已停用" },
    { "account-disabled", "the account is disabled", "账号已停用" },
    { "sign-in-locked", "too many wrong passwords: wait *", "密码错误次数过多，请稍候再试" },
    { "sign-in-incomplete", "name and password are needed", "请填写账号和密码" },
    { "session-ended", "not signed in, or the session has ended: sign in again",
      "未登录或登录已过期，请重新登录" },
    { "not-signed-in", "not signed in", "未登录" },
    { "sign-in-origin", "sign-in is taken from this server's own pages only", "只能从本系统的页面登录" },
    { "foreign-origin", "the request does not come from this site (header Origin)",
      "请求不是从本系统页面发出的" },
    { "csrf-missing", "the header X-CSRF-Token is missing *", "页面已过期，请重新载入" },
    { "sign-by-practitioner", "only a Practitioner can sign", "只有登记的人员可以签名" },
    { "token-unknown", "the bearer token is not one of this server", "令牌无效" },
    { "app-unknown", "no app is registered under this client_id", "没有登记这个应用，或应用已停用" },
    { "app-address-unknown", "the redirect address is not one that this app registered",
      "返回地址不是该应用登记的地址，请勿继续" },
    { "app-patient-missing", "choose the patient first: the app asks for one patient's records",
      "请先选择患者：该应用只用于一位患者" },
    { "app-nothing-left", "nothing of what the app asks for is left to allow",
      "该应用申请的内容，当前岗位都没有或都未同意" },
    { "app-scopes-none", "none of these scopes can be had by this app", "该应用申请的内容不在登记范围内" },
    { "app-elsewhere", "aud is the address of this server's FHIR interface", "该应用要访问的不是本系统" },
    { "app-challenge-missing", "code_challenge with code_challenge_method S256 is needed",
      "该应用的请求缺少必需的校验码" },
    { "app-by-person", "a person allows an app, at a screen", "只有本人登录后才能授权应用" },
    { "not-for-apps", "this is for people at a screen, not for apps",
      "此项只供本人登录后使用，不向应用开放" },
    { "app-outside-scopes", "what is written is outside of the app's scopes",
      "写入的内容超出应用的授权范围" },
    { "app-token-ended", "the app's token has ended or was revoked", "应用的授权已到期或已撤销" },
    { "app-subscribes", "an app cannot subscribe: a person can, for the post",
      "应用不能建立订阅，由本人以岗位建立" },
    { "app-not-opened-here", "this app cannot be opened from here", "这个应用不能从本系统打开" },
    { "no-images", "this server keeps no images", "本系统未启用影像存储" },
    { "no-such-study", "there is no such study", "没有这项检查，或不在您可查阅的范围内" },
    { "held-gone", "there is no such study waiting to be matched", "没有这项待匹配的影像，可能已由他人匹配" },
    { "no-such-patient", "there is no such patient", "没有这位患者，或不在您可查阅的范围内" },
    { "zip-not", "this is not a ZIP", "这不是 ZIP 压缩包" },
    { "zip-damaged", "the ZIP is damaged", "压缩包已损坏，请重新打包后再传" },
    { "zip-cut", "the ZIP ends too early", "压缩包不完整，请重新上传" },
    { "zip-password", "the ZIP is protected by a password*",
      "压缩包有密码，请解开后上传，或不设密码重新打包" },
    { "zip-length", "the ZIP does not say how long a file in it is*",
      "压缩包的格式无法边传边解，请换一个程序重新打包" },
    { "zip-name", "a file in the ZIP has no name or one that is too long",
      "压缩包里有文件没有名称或名称过长，请重新打包" },
    { "zip-many", "the ZIP has more than * files", "压缩包里的文件过多，请分成几个上传" },
    { "zip-large", "the ZIP unpacks to more than is allowed", "压缩包解开后过大，请分成几个上传" },
    { "zip-bomb", "a file in the ZIP unpacks to far more than an image would",
      "压缩包里有文件解开后异常大，已停止接收" },
    { "held-differs", "the images name another name, sex or date of birth than the record*",
      "影像上的姓名、性别或出生日期与病历不一致，请逐项核对后确认" },
    { "held-patient", "a study has one patient: these images cannot be another patient's",
      "一项检查只属于一名患者，这些图像不能并入给其他患者" },
    { "held-decided", "somebody else has decided about these images", "这些图像已由他人处理，请刷新后查看" },
    { "held-absent", "there are no such images waiting for a decision",
      "没有这些待处理的图像，可能已由他人处理" },
    { "measured", "the study is being measured, or was measured already", "这项检查正在测量或已有测量结果" },
    { "measure-owner", "only a doctor of the hospital that owns the images measures them",
      "只有影像所属医院的医师可以测量" },
    { "measure-none", "the study has no chest CT that could be measured", "这项检查没有可测量的胸部 CT" },
    { "photo-format", "a photo is sent as image/jpeg or image/png", "照片须为 JPEG 或 PNG 格式" },
    { "photo-kind", "a photo is a JPEG or a PNG", "照片须为 JPEG 或 PNG 格式" },
    { "photo-damaged", "the photo is damaged, or too small or too large a picture",
      "照片已损坏，或尺寸过小、过大，请重新拍摄" },
    { "photo-absent", "there is no such photo", "没有这张照片，或不在您可查阅的范围内" },
    { "photo-patient", "say whose film it is*", "请先选定患者" },
    { "study-large", "the metadata of this study is too large: ask for its series",
      "检查过大，请按序列查看" },
    { "overlay-unknown", "the only overlay is mask", "叠加层只有测量范围（mask）" },
    { "viewport-form", "viewport must be width,height *", "画面大小须为 宽,高（像素）" },
    { "window-form", "window must be *", "窗位须为预设名称或 窗位,窗宽" },
    { "quality-range", "quality must be a number from 1 to 100", "画质须为 1 至 100 的整数" },
    { "disk-full", "the disk is full: nothing of this request was stored",
      "服务器存储已满，本次内容没有保存" },
    { "disk-full-writing", "the disk is full: nothing was stored*",
      "服务器存储已满，本次内容没有保存。请腾出空间，之后自动恢复写入" },
    { "clock-behind", "the clock is *",
      "服务器时钟早于最后一次保存的时间，已暂停写入。请校正时钟，之后自动恢复写入" },
    { "audit-unwritable", "the audit log cannot be written*", "审计日志暂时无法写入，请稍后再试" },
    { "page-large", "the page is too large: ask for less by _count", "一页内容过多，请减少每页条数" },
    { "answer-large", "the answer is too large", "结果过大，请缩小范围" },
    { "version-moved", "If-Match is not the version of this resource: read it again",
      "内容已被他人更新，请重新载入后再办理" },
    { "record-moved", "the record has changed meanwhile: read it again",
      "内容已被他人更新，请重新载入后再办理" },
    { "task-moved", "the Task has moved meanwhile: read it again", "这一步刚被他人办理，请重新载入后再办理" },
    { "state-refused", "'*' cannot be done in state '*", "当前状态不能办理这一步" },
    { "role-may-not-begin", "your role may not begin a *", "当前岗位不能发起此项业务" },
    { "focus-gone", "what the Task is about is no longer there", "所办理的记录已不存在" },
    { "task-kept", "a Task with a workflow is not deleted; cancel it", "流程中的记录不能删除，可以取消" },
    { "record-unwritable", "the record cannot be written in this way", "这条记录不能这样更改" },
    { "date-form", "not a date: *", "不是日期，应写作 2026-11-22" },
    { "day-form", "date must be a day, for example 2026-11-22", "日期须为某一天，如 2026-11-22" },
    { "figures-not-yours", "figures of this organisation are not yours to ask for",
      "不能查看该机构的统计数字" },
    { "no-such-indicator", "there is no such indicator", "没有这个指标" },
    { "no-such-report", "there is no such report", "没有这份报告" },
    { "report-large", "the report is too large", "报告过大" },
    { "server-busy", "the server has too much to do; try again in a moment", "服务器繁忙，请稍后再试" },
    { "server-stopping", "the server is stopping", "服务器正在停止" },
    { "events-unavailable", "live events are not to be had now", "暂时不能接收实时更新" },
    { "body-large", "the body is larger than *", "内容过大，超过本操作的上限" },
    { "resource-invalid", "the resource is not valid R4", "记录的结构不符合 FHIR R4" },
};

static const char *const kinds[ERROR_KINDS_COUNT] = {
    [ERROR_NONE] = "没有问题",
    [ERROR_INPUT] = "请求的内容有误",
    [ERROR_STRUCTURE] = "内容的结构有误",
    [ERROR_UNSUPPORTED] = "本系统不提供这种用法",
    [ERROR_SIGN_IN] = "未登录或登录已过期",
    [ERROR_FORBIDDEN] = "当前岗位无权办理",
    [ERROR_NOT_FOUND] = "未找到，或不在您可查阅的范围内",
    [ERROR_METHOD] = "不支持此操作方式",
    [ERROR_NOT_ACCEPTABLE] = "不提供所要求的格式",
    [ERROR_CONFLICT] = "与已有内容冲突",
    [ERROR_GONE] = "已删除",
    [ERROR_PRECONDITION] = "内容已被他人更新",
    [ERROR_TOO_LARGE] = "内容过大",
    [ERROR_MEDIA_TYPE] = "不接受这种格式",
    [ERROR_RULE] = "不符合办理规则",
    [ERROR_TOO_COSTLY] = "查询范围过大，请缩小后再试",
    [ERROR_TOO_MANY] = "次数过多，请稍候再试",
    [ERROR_INTERNAL] = "服务器出错",
    [ERROR_BUSY] = "服务器繁忙，请稍后再试",
    [ERROR_FULL] = "服务器存储已满",
};

/* Whether the text is the pattern's, with anything where a * stands. Patterns are ours and short. */
static bool fits(const char *pattern, struct str text)
{
    size_t at = 0;
    const char *after_star = NULL;
    size_t retry = 0;
    while (at < text.len) {
        if (*pattern == '*') {
            after_star = ++pattern;
            retry = at;
        } else if (*pattern == text.at[at]) {
            pattern++;
            at++;
        } else if (after_star != NULL) {
            pattern = after_star;
            at = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

struct outcome_words outcome_words_of(struct arena *arena, enum error_kind kind, struct str english)
{
    assert(kind < ERROR_KINDS_COUNT);
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        if (fits(sentences[i].english, english)) {
            return (struct outcome_words){ sentences[i].code, str_from_cstr(sentences[i].chinese) };
        }
    }
    struct outcome_words words = { NULL, str_from_cstr(kinds[kind]) };
    if (english.len > 0) {
        struct str whole = arena_printf(arena, "%s：%.*s", kinds[kind], STR_FMT(english));
        words.chinese = whole.at == NULL ? words.chinese : whole;
    }
    return words;
}
