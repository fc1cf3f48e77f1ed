import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input, Modal } from 'antd';
import { useTranslation } from '../i18n';
import { usePageTitle } from '../parts/page';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSessionActions } from '../session';

interface PasswordFields { old: string; next: string; again: string }
export const PASSWORD_LENGTH_MIN = 10;

function usePasswordChange(onDone: () => void) {
  const { t } = useTranslation();
  const { changePassword } = useSessionActions();
  return useMutation({
    mutationFn: (fields: PasswordFields) => changePassword(fields.old, fields.next),
    onSuccess: () => {
      toast.success(t('password.done'));
      onDone();
    },
  });
}

function PasswordInputs() {
  const { t } = useTranslation();
  return (
    <>
      <Form.Item name="old" label={t('password.old')} rules={[{ required: true, message: t('common.required') }]}>
        <Input.Password autoComplete="current-password" />
      </Form.Item>
      <Form.Item name="next" label={t('password.next')} rules={[{ required: true, min: PASSWORD_LENGTH_MIN, message: t('password.short', { n: PASSWORD_LENGTH_MIN }) }]}>
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Form.Item name="again" label={t('password.again')} dependencies={['next']}
        rules={[({ getFieldValue }) => ({
          validator: (_, value: string) =>
            value === getFieldValue('next') ? Promise.resolve() : Promise.reject(new Error(t('password.differ'))),
        })]}>
        <Input.Password autoComplete="new-password" />
      </Form.Item>
    </>
  );
}

export function PasswordDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const [form] = Form.useForm<PasswordFields>();
  const change = usePasswordChange(onClose);
  return (
    <Modal open={open} title={t('nav.password')} okText={t('password.submit')} confirmLoading={change.isPending} destroyOnHidden
      onOk={() => form.submit()} onCancel={onClose} afterClose={() => change.reset()}>
      <Form form={form} layout="vertical" requiredMark={false} preserve={false} onFinish={(fields) => change.mutate(fields)}>
        <PasswordInputs />
        {change.error ? <Problem error={change.error} /> : null}
      </Form>
    </Modal>
  );
}

/** The only screen after a reset, until the person has a password of their own. */
export function PasswordPage() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const change = usePasswordChange(() => void client.invalidateQueries({ queryKey: ['session'] }));
  usePageTitle(t('nav.password'));
  return (
    <main className="password-page">
      <div className="panel">
        <h1>{t('password.ownTitle')}</h1>
        <p className="hint">{t('password.ownHelp')}</p>
        <Form<PasswordFields> layout="vertical" requiredMark={false} onFinish={(fields) => change.mutate(fields)}>
          <PasswordInputs />
          {change.error ? <Problem error={change.error} /> : null}
          <Button type="primary" htmlType="submit" block loading={change.isPending}>{t('password.submit')}</Button>
        </Form>
      </div>
    </main>
  );
}
