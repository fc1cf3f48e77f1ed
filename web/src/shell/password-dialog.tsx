import { useMutation } from '@tanstack/react-query';
import { App, Form, Input, Modal } from 'antd';
import { useTranslation } from 'react-i18next';
import { Problem } from '../parts/problem';
import { useSessionActions } from '../session';

interface PasswordFields { old: string; next: string; again: string }
const PASSWORD_LENGTH_MIN = 8;

export function PasswordDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const { changePassword } = useSessionActions();
  const [form] = Form.useForm<PasswordFields>();
  const change = useMutation({
    mutationFn: (fields: PasswordFields) => changePassword(fields.old, fields.next),
    onSuccess: () => {
      void message.success(t('password.done'));
      onClose();
    },
  });

  return (
    <Modal open={open} title={t('nav.password')} okText={t('password.submit')} confirmLoading={change.isPending} destroyOnHidden
      onOk={() => form.submit()} onCancel={onClose} afterClose={() => change.reset()}>
      <Form form={form} layout="vertical" requiredMark={false} preserve={false} onFinish={(fields) => change.mutate(fields)}>
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
        {change.error ? <Problem error={change.error} /> : null}
      </Form>
    </Modal>
  );
}
